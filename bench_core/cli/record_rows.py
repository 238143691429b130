"""Rows of a table that show what a record found: the same words in every command."""

from __future__ import annotations

from bench_core.errors import counted, readable_bytes
from bench_core.records.blas import TorchRecord
from bench_core.records.case import CaseRecord
from bench_core.records.machine import HostRecord, ProcessorRecord
from bench_core.records.phases import PHASE_NAMES, ModelledPhases, PhaseSeconds, PhasesRecord
from bench_core.records.record import Record
from bench_core.records.results import Accuracy, Agreement, PenaltyCounts
from bench_core.records.times import DeviceMemory, Memory, RunTimes, Times

Row = tuple[str, str]


def split_rows(case: CaseRecord) -> list[Row]:
    """Return the samples of both parts, how and why they were divided so, and the warning."""
    problem, split = case.problem, case.split
    if problem.t_train is None or problem.t_test is None:
        return []  # it ended before there was a split
    how = {"run": "whole runs held out", "random": "drawn at random"}[split.kind]
    text = f"{problem.t_train:,} to train, {problem.t_test:,} to test, {how}"
    rows = [("samples", f"{text} (auto: {split.reason})" if split.reason else text)]
    return [*rows, ("warning", split.warning)] if split.warning else rows


def result_rows(record: Record) -> list[Row]:
    """Return label and text of everything that the record has."""
    rows: list[Row] = []
    if record.times is not None:
        rows.append(("fit", time_text(record.times)))
        if record.phases is not None:
            rows.append(("phases", phases_text(record.phases)))
            if record.phases.modelled is not None:
                rows.append(("phases, modelled", modelled_text(record.phases.modelled)))
        rows += [("repeats", text) for text in map(run_text, record.times.runs)]
        rows.append(("predict", f"{record.times.predict_s:.3g} s"))
    if record.memory is not None:
        rows.append(("memory", memory_text(record.memory)))
    if record.bytes_moved is not None:
        moved = readable_bytes(record.bytes_moved["total"])
        rows.append(("moved", f"{moved} between processes"))
    if record.penalty is not None:
        rows.append(("penalty", penalty_text(record.penalty)))
    if record.accuracy is not None:
        rows.append(("held-out r", accuracy_text(record.accuracy)))
    if record.null is not None:
        rows.append(("r, shuffled", accuracy_text(record.null)))
    if record.agreement is not None:
        rows.append(("agreement", agreement_text(record.agreement)))
    if record.blas is not None:
        for caller, library in (("numpy", record.blas.numpy), ("scipy", record.blas.scipy)):
            text = (
                f"{library.name} {library.version}, {library.architecture} kernels, "
                f"{counted(library.threads or 0, 'thread')}"
            )
            if library.backend is not None:
                text += f", calls {library.backend}"
            rows.append((caller, text))
        if (torch := record.blas.in_torch) is not None:
            rows.append(("torch", torch_text(torch)))
    if record.cluster is not None:
        rows += [("host", host_text(each)) for each in record.cluster.hosts]
        rows.append(("data", f"by {record.cluster.data}"))
        rows += [("nodes differ", text) for text in record.cluster.differences]
    rows += [("device memory", device_text(one)) for one in record.device_memory]
    if record.variables is not None and record.variables.overridden:
        overridden = record.variables.overridden.items()
        rows.append(("left out", " ".join(f"{name}={value}" for name, value in overridden)))
    if record.processor is not None:
        rows.append(("processor", processor_text(record.processor)))
        if record.processor.note is not None and record.processor.note != record.reason:
            rows.append(("warning", record.processor.note))
    rows += [("note", text) for text in record.warnings]
    return rows


def torch_text(torch: TorchRecord) -> str:
    """Return the library that multiplied for torch, and where."""
    library = torch.library
    place = torch.device if torch.gpu is None else f"{torch.device}, {torch.gpu.name}"
    text = f"the products ran in torch {torch.built.get('torch', '')} on {place}: {library.name}"
    text += f" {library.version}, {library.architecture} kernels"
    return text if library.threads is None else f"{text}, {counted(library.threads, 'thread')}"


def device_text(memory: DeviceMemory) -> str:
    """Return the peak of a process on its GPU, and what it had."""
    return (
        f"{memory.process} on {memory.device}: peak {readable_bytes(memory.peak_bytes)} of "
        f"{readable_bytes(memory.free_bytes)} free"
    )


def processor_text(processor: ProcessorRecord) -> str:
    """Return the cores that the fit kept busy, the threads of products, and the quota."""
    text = f"{processor.busy:.2f} cores busy during the fit"
    if processor.products:
        least = min(processor.products, key=lambda one: one.used / one.asked)
        text += f"; products use {least.used} of {counted(least.asked, 'thread')}"
    if processor.quota_cores is not None:
        text += f"; quota of {processor.quota_cores:g} cores"
        if processor.throttled_s:
            text += f", which stopped the fits for {processor.throttled_s:.3g} s"
    return text


def time_text(times: Times) -> str:
    """Return the median with its interval."""
    text = f"{times.median_s:.4g} s"
    if times.ci95_s is None:
        return f"{text}, one repeat"
    low, high = times.ci95_s
    return f"{text} (median of {len(times.fit_s)}, 95 % interval {low:.4g} – {high:.4g})"


def phases_text(phases: PhasesRecord) -> str:
    """Return the parts of the critical path, the longest first; those below 1 % are left out."""
    text = path_text(phases.critical)
    return text if len(phases.processes) == 1 else f"{text} (critical path)"


def path_text(path: PhaseSeconds) -> str:
    """Return the parts of one path, the longest first; those below 1 % are left out."""
    ordered = sorted(path.seconds.items(), key=lambda one: -one[1])
    return ", ".join(
        f"{PHASE_NAMES[name]} {spent / path.total:.0%}"
        for name, spent in ordered
        if spent >= 0.01 * path.total > 0
    )


def modelled_text(modelled: ModelledPhases) -> str:
    """Return the path with scikit-learn's time divided by the cost model, and by which speeds."""
    return f"{path_text(modelled.critical)} (scikit-learn's time divided: {modelled.calibration})"


def run_text(run: RunTimes) -> str:
    """Return the fits of one process: warm-up, repeats, why they ended, and who else worked."""
    ended = {
        "repeats": "as many as asked for",
        "precision": "their interval is narrow enough",
        "budget": "the budget is spent",
        "at most": "no more are made",
    }
    text = counted(len(run.fit_s), "repeat")
    if run.warm_up_fits_s:
        text += f" after {counted(len(run.warm_up_fits_s), 'warm-up fit')}"
    text += f": {ended[run.stopped]}"
    if run.use is not None and run.use.others_cores is not None:
        text += f"; others used {run.use.others_cores:.2f} of {run.use.cores} cores"
        if len(run.hosts) > 1:
            text += ", where they used most"
    if unknown := [one.host for one in run.hosts if one.use.others_cores is None]:
        text += f"; what others used is not known of {', '.join(unknown)}"
    if run.disturbed is not None:
        text += f"; disturbed: {run.disturbed}"
    return text if run.counted else f"{text}; not counted"


def host_text(host: HostRecord) -> str:
    """Return a host of a cluster: its name, processor and nodes.

    >>> host = HostRecord("host 0", ("node 0", "node 1"), {"model": "X"}, {}, {}, {}, [], "Linux")
    >>> host_text(host)
    'host 0, X: node 0, node 1'
    """
    return f"{host.name}, {host.cpu['model']}: {', '.join(host.nodes)}"


def memory_text(memory: Memory) -> str:
    """Return the peak, and the part of it that the fit added."""
    added = readable_bytes(memory.peak_bytes - memory.baseline_bytes)
    return f"peak {readable_bytes(memory.peak_bytes)}, {added} of it the fit"


def penalty_text(penalty: PenaltyCounts) -> str:
    """Return each chosen penalty with its number of targets."""
    pairs = zip(penalty.values, penalty.counts, strict=True)
    return ", ".join(f"{value:g} ({count})" for value, count in pairs)


def accuracy_text(figures: Accuracy) -> str:
    """Return the figures that are defined, and the number of targets that are not."""
    named = {
        "mean": figures.mean,
        "median": figures.median,
        "p95": figures.p95,
        "max": figures.max,
    }
    parts = [", ".join(f"{name} {value:.3f}" for name, value in named.items() if value is not None)]
    if figures.undefined:
        parts.append(f"undefined for {counted(figures.undefined, 'target')}")
    return "; ".join(part for part in parts if part)


def agreement_text(agreement: Agreement) -> str:
    """Return the result of the comparison with scikit-learn."""
    worst = "not finite" if agreement.worst is None else f"{agreement.worst:.1e}"
    claim = {True: ", RidgeCV's penalty", False: ", not RidgeCV's penalty", None: ""}
    same = claim[agreement.same_penalty]
    if agreement.tie:
        same = f", {agreement.note}"
    return (
        f"{'yes' if agreement.agrees else 'no'}: worst difference {worst}, tolerance "
        f"{agreement.tolerance:g}, {counted(agreement.targets, 'target')}{same}"
    )
