#!/usr/bin/env bash
# The separate environment for `launcher: ray` and its tests: this package with Ray beside it.
#
# scripts/setup_ray.sh .venv-ray
# .venv-ray/bin/python -m pytest -m ray
# .venv-ray/bin/temp-processors run fox --set launcher=ray
#
# Safe to repeat.
set -euo pipefail
if [ $# -ne 1 ]; then
  echo "usage: scripts/setup_ray.sh TARGET_FOLDER" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")/.." && pwd)
target=$1

[ -x "$target/bin/python" ] || python3 -m venv "$target"
"$target/bin/pip" install -q --upgrade pip
"$target/bin/pip" install -q -c "$here/constraints.txt" --editable "$here[ray]" pytest "hypothesis>=6.120" "nltk>=3.9.1"
"$target/bin/python" -c "
import ray, torch, transformers
print('ray', ray.__version__, 'torch', torch.__version__, 'transformers', transformers.__version__)
"
