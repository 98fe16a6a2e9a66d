"""The manual pages, made of what the programs themselves know: mirosctl's commands, the settings' docstrings.

Run while packages are built: `PYTHONPATH=packaging python -m manual FOLDER`. Nothing of it is installed.
"""
