#!/usr/bin/env bash
# All tests: C++ (ctest), then Python (pytest); both always run. Exit code 0 only where both passed.
# Arguments go to pytest. Needs what scripts/setup.sh --package makes.
set -uo pipefail
cd "$(dirname "$0")/.."
VENV=$PWD/${VENV:-.venv}
export PATH="$VENV/bin:$PATH"
reports=$PWD/build/test-reports
rm -rf "$reports"
mkdir -p "$reports"

ctest --test-dir build/package --output-on-failure --no-tests=error -j "$(nproc)" --output-junit "$reports/ctest.xml"
cpp=$?
python -m pytest tests/python --junitxml="$reports/pytest.xml" "$@"
py=$?
[ $cpp -eq 0 ] || echo "ctest ended with exit code $cpp"
[ $py -eq 0 ] || echo "pytest ended with exit code $py"
python scripts/test_summary.py "$reports/ctest.xml" "$reports/pytest.xml"
summary=$?
[ $cpp -eq 0 ] && [ $py -eq 0 ] && [ $summary -eq 0 ]
