"""Holds every record of every scenario's trace against the JSON Schema of the trace.

    check_schema.py SCHEMA TRACES NAME...
"""

import json
import pathlib
import sys

import jsonschema


def main() -> int:
    schema_file, traces = map(pathlib.Path, sys.argv[1:3])
    schema = json.loads(schema_file.read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    records = breaches = 0
    for name in sys.argv[3:]:
        lines = (traces / f"{name}.jsonl").read_text().splitlines()
        if not lines:
            print(f"{name}: no record")
            breaches += 1
        for number, line in enumerate(lines, 1):
            records += 1
            for error in validator.iter_errors(json.loads(line)):
                print(f"{name}:{number}: {error.json_path}: {error.message}")
                breaches += 1
    # A schema that lets anything pass is no schema.
    refuses = not validator.is_valid({"schema": 1}) and not validator.is_valid([])
    print(f"{records} records, {breaches} breaches")
    return 0 if records > 0 and breaches == 0 and refuses else 1


if __name__ == "__main__":
    sys.exit(main())
