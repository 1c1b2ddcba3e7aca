"""What stands between the fields of a table that a spreadsheet saved."""


def table_and_delimiter(text: str) -> tuple[str, str]:
    """`text` without Excel's own first line, sep=, and of comma, semicolon and tab the one that its header has most."""
    first, _, rest = text.partition("\n")
    table = rest if first.startswith("sep=") else text
    return table, max(",;\t", key=table.partition("\n")[0].count)
