"""Policies from and to the settings of other samplers: llama.cpp, vLLM, transformers' GenerationConfig, Ollama.

`formats.py` has the table of formats and the functions for callers; README.md says what each format means and carries.
"""
