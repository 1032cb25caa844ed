"""Is the model better afterwards? The declared experiment: small models with habits, pretexts, controls, paired differences.

`declaration.py` says what is tried and what is expected of it, before its arms are measured; `trials.py` what one trial is;
`worker.py` does one; `measuring.py` asks a policy the questions; `analysis.py` compares over bases; `report.py` writes
what was found.
"""
