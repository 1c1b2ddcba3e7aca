"""All deliberate faults, by the folder of src that they are put into."""

from __future__ import annotations

import faults_of_experiment
import faults_of_intervention
import faults_of_kernels
import faults_of_model
import faults_of_plan
import faults_of_running

FAULTS = [
    *faults_of_plan.FAULTS,
    *faults_of_intervention.FAULTS,
    *faults_of_experiment.FAULTS,
    *faults_of_kernels.FAULTS,
    *faults_of_model.FAULTS,
    *faults_of_running.FAULTS,
]


def table() -> str:
    """The end of README.md."""
    return "\n".join(
        ["| Fault | In | Caught by |", "|---|---|---|", *(fault.table_line() for fault in FAULTS), ""]
    )


if __name__ == "__main__":
    print(table(), end="")
