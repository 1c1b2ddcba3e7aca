"""What is known about a prompt bank as text: lengths, keywords, duplicates."""

from rvsweep.bank.checks import NEAR, SHINGLE, WINDOW, Bank

LISTED = 20  # findings of one kind


def summary(bank: Bank) -> str:
    """Tables and findings as text."""
    width = max(len(group) for group in bank.groups)
    lines = [f"{len(bank.prompts)} prompts in {len(bank.groups)} groups"]
    for measured in bank.measured:
        lines += ["", f"tokens of {measured.tokenizer}"]
        lines.append(f"  {'group':{width}}  {'n':>5} {'min':>6} {'Q1':>6} {'median':>6} {'Q3':>6} {'max':>6}")
        for row in measured.table:
            values = " ".join(f"{value:6g}" for value in (row.low, row.q1, row.median, row.q3, row.high))
            lines.append(f"  {row.group:{width}}  {row.n:5d} {values}")
        gaps = [f"{lead}: {bank.some_groups(others)}" for lead, others in measured.gaps]
        lines += _findings("groups whose middle halves do not overlap", gaps)
        lines += _findings(
            f"prompts of fewer than {WINDOW} tokens", [bank.prompts[i].where for i in measured.short]
        )
    lines += ["", "notebook keywords"]
    lines.append(f"  {'group':{width}}  prompts  per prompt  which")
    for row in bank.leakage:
        line = f"  {row.group:{width}}  {row.prompts:7d}  {row.mean:10.2f}  {', '.join(row.keywords)}"
        lines.append(line.rstrip())
    copies = [", ".join(bank.prompts[i].where for i in members) for members in bank.copies]
    near = [f"{j:.2f} {bank.prompts[a].where} {bank.prompts[b].where}" for j, a, b in bank.near]
    lines += [
        "",
        *_findings("equal texts", copies),
        *_findings(f"near-duplicates (Jaccard index of {SHINGLE}-word runs at least {NEAR})", near),
    ]
    return "\n".join(lines)


def _findings(title: str, found: list[str]) -> list[str]:
    if not found:
        return [f"{title}: none"]
    more = [f"  and {len(found) - LISTED} more"] if len(found) > LISTED else []
    return [f"{title}:", *(f"  {text}" for text in found[:LISTED]), *more]
