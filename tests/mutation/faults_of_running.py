"""Deliberate faults in src/metrics, scheduler, sweep, storage, comm and cli."""

from __future__ import annotations

from fault import fault

FAULTS = [
    fault(
        "KL with its arguments exchanged",
        "metrics/logits.cpp",
        "return terms.mul_(log_p.exp().index_select(0, p_of)).sum(-1);",
        "return terms.neg_().mul_(log_q.exp()).sum(-1);",
        "metrics Logits.KlIsTheExpectationUnderItsFirstArgument",
    ),
    fault(
        "small singular values from the Gram matrix",
        "metrics/spectra.cpp",
        "least_eigenvalue = 1e-6;",
        "least_eigenvalue = -1;",
        "metrics SingularValues.KeepTheTail",
    ),
    fault(
        "a broken device counted as an attempt",
        "scheduler/coordinator.cpp",
        "++item_at(id).devices_broken;",
        "++item_at(id).attempts;",
        "scheduler Coordinator.ABrokenDeviceIsNoAttemptOfItsItem",
    ),
    fault(
        "a broken rank given more",
        "scheduler/coordinator.cpp",
        "if (state.ready && state.held.empty())",
        "if (state.held.empty())",
        "scheduler Coordinator.ABrokenRankGetsNothingMoreAndItsItemsGoToOthers",
    ),
    fault(
        "NCCL joined by ranks that share a GPU",
        "comm/nccl.cpp",
        "if (!gpus.insert(rank.gpu_uuid).second)",
        "if (gpus.insert(rank.gpu_uuid); gpus.empty())",
        "nccl WhyNotJoin.EachRankNeedsTheLibraryAndAGpuOfItsOwn",
    ),
    fault(
        "a character that the end of a text cuts taken for malformed",
        "metrics/malformed.cpp",
        "while (is_cut && ",
        "while (false && ",
        "metrics IsMalformed.NotWhereTheLastCharacterIsCut",
    ),
    fault(
        "a chat template's file known by its path",
        "sweep/identity.cpp",
        '? "of a file" : value',
        "? value : value",
        "sweep SweepIdentity.AChatTemplateOfAFileIsWhatItWrites",
    ),
    fault(
        "a bundle told as done before its commit",
        "scheduler/compute_thread.cpp",
        "    lock.unlock();\n    ComputeResult result = attempt(committing_",
        "    add_result({committing_->id, ResultKind::done, {}, {}});\n"
        "    lock.unlock();\n    ComputeResult result = attempt(committing_",
        "scheduler ComputeThread.ComputesTheNextItemWhileOneIsCommitted",
    ),
    fault(
        "nothing computed beside a commit",
        "scheduler/compute_thread.cpp",
        "commit_added_.notify_one();",
        "commit_added_.notify_one();\n      commit_ended_.wait(lock, [this] { return !committing_; });",
        "scheduler ComputeThread.ComputesTheNextItemWhileOneIsCommitted",
    ),
    fault(
        "rows not centred before their Gram matrix",
        "metrics/spectra.cpp",
        "rows - rows.mean({-2}, /*keepdim=*/true)",
        "rows",
        "metrics CentredGramSums.AreThoseOfTheRowsLessTheirMean",
    ),
    fault(
        "corrected PR with a biased estimate of the squared trace",
        "metrics/spectra.cpp",
        "(n * n - 3 * n + 1) * trace",
        "(n * n - 3 * n) * trace",
        "metrics CorrectedParticipationRatio.IsTheRatioOfUnbiasedEstimates",
    ),
    fault(
        "progress line as wide as the terminal",
        "sweep/progress.cpp",
        "std::max(0, columns - 1)",
        "std::max(0, columns)",
        "sweep ProgressLine.FitsATerminalOfAnyWidthAndKeepsItsNumbers",
    ),
    fault(
        "padding of a set of tokens counted as token 0",
        "metrics/logits.cpp",
        ".masked_fill(beyond, -std::numeric_limits<double>::infinity());",
        ";",
        "metrics Logits.OfASetOfTokens",
    ),
    fault(
        "answers lost between plan.h5 and a resumed sweep",
        "storage/plan_file.cpp",
        "return lists.size() == 0 ?",
        "return lists.size() != 1 ?",
        "storage PlanFile.KeepsEveryPartOfTheSweep",
    ),
    fault(
        "an axis named by a scale of another length",
        "storage/dimension_scales.cpp",
        "fits(scales[axis]) ? scales[axis] : own",
        "scales[axis].empty() ? own : scales[axis]",
        "storage DimensionScales.NameEveryAxisAndLeaveOneOfAnotherLengthToItsDataset",
    ),
    fault(
        "a speed of 0 rows a second on the status page",
        "cli/status_page.cpp",
        "average > 0)",
        "average >= 0)",
        "cli StatusPage.HasNoSpeedWhereNoRowWasComputed",
    ),
]
