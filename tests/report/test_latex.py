"""Tables as LaTeX: by a reader stricter than TeX, and the numbers of the page."""

import re

import pandas as pd
import pytest

from jaxbias import report
from jaxbias.report import latex
from jaxbias.report.tables import Column, Content, Table, badge, column, table, text
from tests.report.parsed import Parsed

# Everything a table may be made of, with how many arguments it takes.
COMMANDS = {
    "begin": 1, "end": 1, "caption": 1, "label": 1, "centering": 0, "small": 0, "resizebox": 3,
    "ifdim": 0, "width": 0, "linewidth": 0, "else": 0, "fi": 0, "toprule": 0, "midrule": 0,
    "bottomrule": 0, "endfirsthead": 0, "endhead": 0, "endfoot": 0, "textbackslash": 0,
    "textasciitilde": 0, "textasciicircum": 0, "textbar": 0, "textless": 0, "textgreater": 0,
    "textasciigrave": 0, "dots": 0, "times": 0, "pm": 0, "cdot": 0, "varepsilon": 0, "delta": 0,
    "rightarrow": 0, "Sigma": 0, "beta": 0, "textsuperscript": 1, "textonehalf": 0,
}  # fmt: skip
TOKEN = re.compile(r"\\([A-Za-z]+|.)|%[^\n]*\n|([{}$&#_^~])|([^\\%{}$&#_^~]+)", re.DOTALL)


def rows_of(source):
    """Reads a file as TeX would; returns the cells of every row, markup and all.

    Refuses a bare special character, an unknown command, and groups, formulas and environments
    that do not nest, rows of another length than the columns, and an option after a row's end.
    """
    assert source.isascii() or source.encode()  # Letters are TeX's own business.
    groups, environments, math, rows, row, columns = [], [], False, [], [""], None
    position, tabular = 0, False
    while position < len(source):
        found = TOKEN.match(source, position)
        assert found, source[position : position + 40]
        command, mark, _ = found.groups()
        position = found.end()
        if command in ("begin", "end"):
            name = re.match(r"\{(\w+)\}", source[position:])
            position += name.end()
            if command == "begin":
                environments.append(name[1])
                if name[1] in ("tabular", "longtable"):
                    shape = re.match(r"\{([lr]+)\}", source[position:])
                    position += shape.end()
                    columns, tabular, row = len(shape[1]), True, [""]
            else:
                assert environments.pop() == name[1]
                tabular = False if name[1] in ("tabular", "longtable") else tabular
            continue
        if command == "\\":
            assert tabular and not groups[1:] and not math
            assert re.match(r"\s*[\[*]", source[position:]) is None
            if "\\caption" not in row[0]:
                assert len(row) == columns, row
                rows.append([cell.strip() for cell in row])
            row = [""]
            continue
        if command is not None and command.isalpha():
            assert command in COMMANDS, command
            if command in ("toprule", "midrule", "bottomrule") or command.startswith("end"):
                assert row == [""] or not row[0].strip(), row
                continue
            if command == "width":
                continue
        elif command is not None:
            assert command in "&%$#_{}", command
        if mark == "{":
            groups.append(position)
        elif mark == "}":
            groups.pop()
        elif mark == "$":
            math = not math
        elif mark == "&":
            assert tabular and not math
            row.append("")
            continue
        else:
            assert mark is None or (mark == "~"), (mark, source[position - 20 : position])
        row[-1] += found[0] if not found[0].startswith("%") else ""
    assert not groups and not environments and not math
    return rows


def said(cell):
    """The text that a cell of LaTeX sets."""
    cell = cell.replace("$-$", "−").replace("$\\times$", "×").replace("{}", "")
    cell = re.sub(r"\\text(backslash|asciitilde|asciicircum|bar|less|greater|asciigrave)",
                  lambda m: dict(backslash="\\", asciitilde="~", asciicircum="^", bar="|",
                                 less="<", greater=">", asciigrave="`")[m[1]], cell)  # fmt: skip
    cell = re.sub(r"(?<!-)--(?!-)", "–", cell)
    return re.sub(r"\\([&%$#_{}])", r"\1", cell)


@pytest.mark.parametrize(
    ("plain", "escaped"),
    [
        ("a_b", r"a\_b"),
        ("R&D", r"R\&D"),
        ("5 %", r"5 \%"),
        ("#1", r"\#1"),
        ("$x$", r"\$x\$"),
        ("{x}", r"\{x\}"),
        ("~", r"\textasciitilde{}"),
        ("^", r"\textasciicircum{}"),
        ("\\input{x}", r"\textbackslash{}input\{x\}"),
        ("A|B", r"A\textbar{}B"),
        ("<b>", r"\textless{}b\textgreater{}"),
        ("+0.1 [−0.2, 0.3]", r"+0.1 [$-$0.2, 0.3]"),
        ("3.1×", r"3.1$\times$"),
        ("--workdir", r"-{}-workdir"),
        ("---", r"-{}-{}-"),
        ("–", "--"),
        ("two\nlines\t", "two lines "),
        ("Zoë 山", "Zoë 山"),
    ],
)
def test_what_means_something_to_tex_is_escaped(plain, escaped):
    assert latex.escape(plain) == escaped


def test_a_table_by_hand():
    columns = [column("name", "Base_1"), column("value", "AUC [95 %]", "{:.2f}".format)]
    made = Table([{"name": "[A] & B", "value": 0.5}], columns, "Named 100 %")
    assert latex.latex(made, "fix", "config q_1") == (
        "% Needs \\usepackage{booktabs,graphicx,longtable}\n"
        "\\begin{table}\n\\centering\n"
        "\\caption{Named 100 \\% (config q\\_1).}\\label{tab:fix}\n"
        "\\small\n"
        "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n"
        "\\begin{tabular}{lr}\n\\toprule\n"
        "Base\\_1 & AUC [95 \\%] \\\\\n\\midrule\n"
        "{}[A] \\& B & 0.50 \\\\\n"
        "\\bottomrule\n\\end{tabular}}\n\\end{table}\n"
    )


def test_many_rows_break_over_pages():
    rows = [{"i": i} for i in range(100)]
    made = latex.latex(Table(rows, [column("i", "i")], "Many"), "many", "config")
    assert "\\begin{longtable}{l}" in made and "\\begin{table}" not in made
    head, again, *body = rows_of(made)
    assert head == again == ["i"]
    assert [int(cell) for (cell,) in body] == list(range(100))


def test_badges_and_lines_are_text():
    lines = Column("Lines", lambda row: text("a<b") + "<br>")
    parts = [Column("Verdict", lambda row: badge("no gap", "good")), lines]
    # A sum of Html is plain text again, and is written as it stands.
    (_, cells) = rows_of(latex.latex(Table([{}], parts, "c"), "c", "a"))
    assert cells[0] == "no gap"
    assert said(cells[1]) == "a&lt;b<br>"


def test_content_adds_like_text_and_keeps_its_tables():
    first, second = (table([{"a": a}], [column("a", "A")], f"c{a}") for a in "xy")
    whole = "<p>" + first + "</p>" + second
    assert [each.caption for each in whole.tables] == ["cx", "cy"]
    assert str(whole) == f"<p>{first}</p>{second}"
    assert not Content() and not ("" + Content()) and whole


@pytest.mark.parametrize("name", ["written", "written_pair", "written_hostile"])
def test_every_table_of_the_page_is_a_file_with_its_numbers(request, name):
    answer, directory = request.getfixturevalue(name)
    page = Parsed((directory / "report.html").read_text())
    files = {path.stem: path.read_text() for path in (directory / "latex").glob("*.tex")}
    assert len(files) == len(page.tables) >= 3
    shown = {}
    for stem, source in files.items():
        head, *body = rows_of(source)
        body = body[1:] if "longtable" in source.split("\\begin{")[1] else body
        assert f"\\label{{tab:{stem}}}" in source
        assert latex.escape(answer.study["name"]) in source
        shown[stem] = [[said(cell) for cell in row] for row in (head, *body)]
    for rows in page.tables:
        wanted = [[cell.replace("\u00a0", " ") for cell in row] for row in rows]
        assert any(alike(found, wanted) for found in shown.values()), wanted[0]


def alike(found, wanted):
    """Whether rows are the same but for how a cell of several lines is written."""
    squeezed = [
        [[re.sub(r"[\s;]", "", cell) for cell in row] for row in rows] for rows in (found, wanted)
    ]
    return squeezed[0] == squeezed[1]


def test_files_of_an_earlier_answer_go(tmp_path):
    made = table([{"a": 1}], [column("a", "A")], "c")
    latex.write_tables(
        [("fix", "A", made + made), ("notes", "B", "<p>none</p>")], "config", tmp_path
    )
    assert {path.name for path in tmp_path.iterdir()} == {"fix.tex", "fix-2.tex"}
    latex.write_tables([("data", "C", made)], "config", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"data.tex"}


def test_a_caption_says_what_was_run(answer):
    sizes = pd.DataFrame({"n": [512, 1024, 512]})
    about = latex.source(type(answer)(**{**vars(answer), "variants": sizes}))
    assert about.startswith("config quickstart on faces, n = 512, 1,024, 3 models; jaxbias report")


def test_an_answer_without_models_has_tables_too(empty_answer, tmp_path):
    report.write(empty_answer, tmp_path)
    for path in (tmp_path / "latex").glob("*.tex"):
        rows_of(path.read_text())
