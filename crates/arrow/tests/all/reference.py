"""What pyarrow says of a stream, and what it writes.

`read` prints the schema and the rows of a stream on standard input. `write FORM` writes rows of many
types to standard output: as a stream or a file of Arrow, or as Parquet with a codec.
"""

import datetime
import decimal
import json
import sys

import pyarrow
import pyarrow.ipc
import pyarrow.parquet


def shown(value):
    """A value as JSON, with its type."""
    if isinstance(value, list):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return {name: shown(item) for name, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    return {type(value).__name__: value.isoformat()}


def read():
    with pyarrow.ipc.open_stream(sys.stdin.buffer) as stream:
        table = stream.read_all()
    table.validate(full=True)
    fields = [[field.name, str(field.type), field.nullable] for field in table.schema]
    json.dump({"fields": fields, "rows": [shown(row) for row in table.to_pylist()]}, sys.stdout)


def table():
    moment = datetime.datetime(2026, 11, 30, 12, 0, 0, 1, tzinfo=datetime.timezone.utc)
    columns = {
        "bool": (pyarrow.bool_(), True),
        "int8": (pyarrow.int8(), -128),
        "int64": (pyarrow.int64(), 2**63 - 1),
        "uint32": (pyarrow.uint32(), 2**32 - 1),
        "float": (pyarrow.float32(), 0.5),
        "double": (pyarrow.float64(), 0.1),
        "text": (pyarrow.string(), "ä\0\n"),
        "large": (pyarrow.large_string(), "large"),
        "category": (pyarrow.dictionary(pyarrow.int8(), pyarrow.string()), "red"),
        "bytes": (pyarrow.binary(), b"\x00\xff"),
        "date": (pyarrow.date32(), datetime.date(1, 1, 1)),
        "us": (pyarrow.timestamp("us", "UTC"), moment),
        "ms": (pyarrow.timestamp("ms"), datetime.datetime(1969, 12, 31, 23, 59, 59, 999000)),
        "vector": (pyarrow.list_(pyarrow.float32(), 2), [0.5, -1.5]),
        "list": (pyarrow.list_(pyarrow.int64()), [1, None, 3]),
        "struct": (
            pyarrow.struct([("a", pyarrow.int64()), ("b", pyarrow.list_(pyarrow.string()))]),
            {"a": 1, "b": ["x", None]},
        ),
    }
    arrays = {
        name: pyarrow.array([value, None] * 500, kind) for name, (kind, value) in columns.items()
    }
    return pyarrow.table(arrays)


def write(form, *codec):
    made = table()
    if form == "stream":
        with pyarrow.ipc.new_stream(sys.stdout.buffer, made.schema) as writer:
            writer.write_table(made, max_chunksize=300)
    elif form == "file":
        options = pyarrow.ipc.IpcWriteOptions(compression=codec[0] if codec else None)
        with pyarrow.ipc.new_file(sys.stdout.buffer, made.schema, options=options) as writer:
            writer.write_table(made, max_chunksize=300)
    elif form == "decimal":
        made = pyarrow.table({"price": pyarrow.array([decimal.Decimal("1.10")])})
        pyarrow.parquet.write_table(made, sys.stdout.buffer)
    else:
        pyarrow.parquet.write_table(
            made, sys.stdout.buffer, compression=codec[0], row_group_size=300
        )


if __name__ == "__main__":
    {"read": read, "write": write}[sys.argv[1]](*sys.argv[2:])
