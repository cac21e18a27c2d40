"""What a text is worth for a task: the answer taken out of it, its score, and what several samples of one prompt give.

The room stands before `config`, which reads the section `task:` into its objects, and is light: texts that others generated
are scored without torch or transformers. `answers/` and `scorers/` hold one kind a file, `measures/` one definition a file.
"""
