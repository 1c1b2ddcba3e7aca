"""Axes of results.h5 have names: HDF5 dimension scales, as h5py and netCDF readers see them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

NAMES = {
    "rows/spectra_prompt": ["row_id", "layer", "rank"],
    "rows/tokens": ["row_id", "step"],
    "rows/status": ["row_id"],
    "prompts/spectra": ["id", "layer", "rank"],
    "prompts/pr_corrected": ["id", "layer"],
    "prompts/gram_sums": ["id", "layer", "gram_sum"],
    "prompts/tokens": ["id"],
    "pairs/source": ["id"],
    "arms/spec": ["label"],
    "run/seconds": ["bundle"],
    "run/phases/seconds": ["rank", "name"],
}


def datasets(file: h5py.File) -> dict[str, h5py.Dataset]:
    found = {}
    file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return found


def test_every_axis_has_one_scale_of_its_length(finished):
    with h5py.File(finished.out / "results.h5") as file:
        found = datasets(file)
        for path, dataset in found.items():
            names = []
            for axis, dimension in enumerate(dataset.dims):
                scales = [dataset] if h5py.h5ds.is_scale(dataset.id) else list(dimension.values())
                assert len(scales) == 1 and scales[0].shape == (dataset.shape[axis],), f"{path} {axis}"
                names.append(scales[0].name.split("/")[-1])
                # netCDF looks for a dimension in the group of the dataset and above it.
                assert dataset.parent.name.startswith(scales[0].parent.name.rstrip("/")), path
            assert names == NAMES.get(path, names), path
        assert set(NAMES) <= set(found)
        assert all(found["layer"][...] == np.arange(found["prompts/pr"].shape[1]))
        assert {"units", "description"} <= set(found["layer"].attrs)


def test_xarray_opens_it_with_names(finished):
    xarray = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    with xarray.open_dataset(finished.out / "results.h5", group="rows", engine="h5netcdf") as rows:
        assert rows["spectra_prompt"].dims == ("row_id", "layer", "rank")
        assert list(rows["row_id"].values) == list(finished.results.rows["row_id"])
        assert len(rows.load().data_vars) > 20
    for group in (None, "prompts", "pairs", "arms", "run"):
        with xarray.open_dataset(finished.out / "results.h5", group=group, engine="h5netcdf") as opened:
            opened.load()
