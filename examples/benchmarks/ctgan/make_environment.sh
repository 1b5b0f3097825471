#!/bin/sh
# An environment of its own for CTGAN 0.12.1: sh make_environment.sh FOLDER
# torch comes first and by version; CTGAN alone would ask for any torch, CUDA and all. Where a wheel
# for the processor is wanted from elsewhere, pip's own settings (PIP_FIND_LINKS, ...) say so.
set -eu

folder=${1:?"usage: sh make_environment.sh FOLDER"}
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/pip" install --quiet torch==2.13.0
"$folder/bin/pip" install --quiet ctgan==0.12.1 pyarrow==26.0.1
"$folder/bin/python" -c 'import ctgan, torch; print("ctgan", ctgan.__version__, "torch", torch.__version__)'
