#!/usr/bin/env bash
# From a fresh clone to the report of your own photos, one folder a class:
#
#     bash examples/newcomer.sh PHOTOS [WEIGHTS]
#
# WEIGHTS is a file for those who cannot reach the place where torchvision keeps them.
set -euo pipefail

[ $# -ge 1 ] || { echo "usage: bash examples/newcomer.sh PHOTOS [WEIGHTS]" >&2; exit 2; }
photos="$(cd "$1" && pwd)"
weights=(${2:+--weights "$(cd "$(dirname "$2")" && pwd)/$(basename "$2")"})

if ! command -v featx >/dev/null; then
    python3 -m venv venv
    . venv/bin/activate
    pip install -e "$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
fi

featx stats "$photos"
featx extract "$photos" --backbone mobilenet_v2 --pool avg "${weights[@]}"
featx fit --head svm --name first --report
echo "Open runs/first/report.html in a browser."
