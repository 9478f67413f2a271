"""Answers what DataFusion makes of queries.

Standard input is a JSON object with `tables` and `queries`; standard output has one answer a query:
{"rows": [...]} with plain values, or {"error": ...} with the text of the error.
"""

import base64
import datetime
import decimal
import json
import math
import sys

import datafusion
import pyarrow as pa

PLAIN = {
    "bool": pa.bool_(),
    "int": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


def arrow_type(wire):
    kind = wire["type"]
    if kind == "list":
        return pa.list_(arrow_type(wire["element_type"]))
    if kind == "vector":
        return pa.list_(pa.float32(), wire["size"])
    if kind == "struct":
        return pa.struct([(it["name"], arrow_type(it["data_type"])) for it in wire["fields"]])
    return PLAIN[kind]


def read(wire, value):
    if value is None:
        return None
    kind = wire["type"]
    if kind == "binary":
        return base64.b64decode(value["data"])
    if kind == "date":
        return datetime.date.fromisoformat(value)
    if kind == "timestamp":
        return datetime.datetime.fromisoformat(value)
    return value


def column(wire, values):
    values = [read(wire, value) for value in values]
    if wire["type"] != "struct":
        return pa.array(values, arrow_type(wire))
    # The parts of a struct that is null are null, as they are for whoever asks for them.
    parts = [
        pa.array([None if it is None else it[field["name"]] for it in values], arrow_type(field["data_type"]))
        for field in wire["fields"]
    ]
    mask = pa.array([it is None for it in values])
    return pa.StructArray.from_arrays(parts, [it["name"] for it in wire["fields"]], mask=mask)


def plain(value):
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return {"encoding": "base64", "data": base64.b64encode(value).decode()}
    if isinstance(value, datetime.datetime):
        text = value.replace(tzinfo=None).isoformat()
        return (text.rstrip("0") if "." in text else text) + "Z"
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, list):
        return [plain(it) for it in value]
    if isinstance(value, dict):
        return {name: plain(it) for name, it in value.items()}
    return value


def answer(context, query):
    try:
        batches = context.sql(query).collect()
        rows = []
        for batch in batches:
            columns = [column.to_pylist() for column in batch.columns]
            rows.extend([plain(value) for value in row] for row in zip(*columns))
        return {"rows": rows}
    except Exception as error:
        return {"error": str(error)[:300]}


def main():
    asked = json.load(sys.stdin)
    context = datafusion.SessionContext()
    for table in asked["tables"]:
        names = [name for name, _ in table["columns"]]
        columns = [
            column(wire, [row[index] for row in table["rows"]])
            for index, (_, wire) in enumerate(table["columns"])
        ]
        batch = pa.record_batch(columns, names=names)
        context.register_record_batches(table["name"], [[batch]])
    answers = [answer(context, query) for query in asked["queries"]]
    json.dump({"datafusion": datafusion.__version__, "answers": answers}, sys.stdout)


if __name__ == "__main__":
    main()
