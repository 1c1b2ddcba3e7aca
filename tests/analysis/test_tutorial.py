"""jobs/tutorial.ipynb, from its prompts to its figure, in a folder of its own."""

import json
import os
import subprocess
import sys

import numpy as np
from scripts import ROOT

import rvsweep as package

AT_THE_END = """
assert axes.get_xlabel() == "layer" and len(study.ok) == len(study.rows) == 32, study
assert ratio.dims == ("prompt", "layer") and ratio.shape == (8, 30)
print(contrasts.to_json())
"""


def test_the_tutorial_goes_from_prompts_to_a_figure(rvsweep, demo_model, tmp_path):
    notebook = json.loads((ROOT / "jobs/tutorial.ipynb").read_text("utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    (tmp_path / "jobs").mkdir()
    (tmp_path / "models").symlink_to(demo_model.parent)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "analysis"), "MPLBACKEND": "Agg"}
    options = {"cwd": tmp_path / "jobs", "env": environment, "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, "-c", "\n".join([*cells, AT_THE_END])], **options)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    study = package.load(tmp_path / "out/tutorial")
    values = study.ok.pivot(index="pair", columns="arm", values="logprob_source")
    for arm, versus, difference in zip(*(found[name].values() for name in ("arm", "versus", "difference"))):
        assert np.isclose(difference, (values[arm] - (0 if versus == "base" else values[versus])).mean())
