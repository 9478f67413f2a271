"""Answers what the reference makes of templates and services, one batch a process.

Standard input is a JSON list, standard output a JSON list of the same length. An answer is
{"text": ...} or {"value": ...} when the reference accepts the input, else {"error": ...}.
"""

import json
import sys


def template_spec(case):
    from meshagent.api.specs.service import ServiceTemplateSpec

    source, values = case
    spec = ServiceTemplateSpec.from_yaml(source, values)
    return {
        "value": {
            "template": spec.model_dump(mode="json"),
            "service": spec.to_service_spec().model_dump(mode="json"),
        }
    }


def service_spec(source):
    from meshagent.api.specs.service import ServiceSpec
    from pydantic_yaml import parse_yaml_raw_as

    return {"value": parse_yaml_raw_as(ServiceSpec, source).model_dump(mode="json")}


def dumps(value):
    return {"text": json.dumps(value)}


ANSWERS = {
    "template": template_spec,
    "service": service_spec,
    "dumps": dumps,
}


def main():
    answer = ANSWERS[sys.argv[1]]
    answers = []
    for case in json.load(sys.stdin):
        try:
            answers.append(answer(case))
        except Exception as error:
            answers.append({"error": f"{type(error).__name__}: {error}"})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
