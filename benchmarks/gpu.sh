#!/bin/sh
# Measure the speed table on a CUDA machine, timed by CUDA's events. Its JSON goes to benchmarks/results.
# DEVICE=cpu QUICK=1 tries the script without a GPU. MACHINE names the JSON. Further arguments go to benchmarks/run.py.
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
set -- --device "${DEVICE:-cuda}" "$@"
[ -z "${QUICK:-}" ] || set -- --quick "$@"
[ -z "${MACHINE:-}" ] || set -- --machine "$MACHINE" "$@"
PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" exec "$PYTHON" benchmarks/run.py "$@"
