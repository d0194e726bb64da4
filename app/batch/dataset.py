"""hands/: the hands of a batch as a Parquet data set, one partition an input: hands/input=NAME/hands.parquet.

A row a hand, in the order of predictions.npz; lengths are metres, places in the camera frame (x right, y down, z
forward). Meshes are in predictions.npz alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from handdgp_core.files import whole_file

__all__ = ["SCHEMA", "write_partition"]

SCHEMA = pa.schema(
    [
        pa.field("frame_index", pa.int64()),
        pa.field("stamp_ns", pa.int64()),
        pa.field("track_id", pa.int64()),
        pa.field("handedness", pa.string()),
        pa.field("score", pa.float32()),
        pa.field("degenerate", pa.string()),  # why this hand has no place; empty for one that has
        pa.field("root_m", pa.list_(pa.float32(), 3)),
        pa.field("root_covariance_m2", pa.list_(pa.float32(), 9)),
        pa.field("distance_std_m", pa.float32()),
        pa.field("hand_scale", pa.float32()),
        pa.field("keypoints_m", pa.list_(pa.float32(), 63)),  # 21 times x, y, z
        pa.field("keypoints_px", pa.list_(pa.float32(), 42)),
        pa.field("weights", pa.list_(pa.float32(), 21)),
    ]
)


def write_partition(table: Path, folder: Path, input_name: str) -> Path:
    """Write the partition of an input.

    Args:
        table: its predictions.npz.
        folder: of the data set.
        input_name: of the partition.

    Returns:
        The file.

    Raises:
        OutputError: it cannot be written.
    """
    with np.load(table, allow_pickle=False) as stored:
        columns = [_column(stored[field.name], field.type) for field in SCHEMA]
    path = folder / f"input={input_name}" / "hands.parquet"
    with whole_file(path, make_folder=True) as part:
        pq.write_table(pa.table(columns, schema=SCHEMA), part)
    return path


def _column(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), kind.list_size)
    return pa.array(values.tolist(), kind) if pa.types.is_string(kind) else pa.array(values, kind)
