"""A page as a browser would take it apart."""

import html.parser

VOID = {"meta", "img", "br", "wbr", "link", "input", "hr"}


class Parsed(html.parser.HTMLParser):
    """Elements with attributes, the text of every table, and whether every tag was closed."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.tables = [], [], []
        self.text = {}
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        inside = self.open[-1] if self.open else ""
        self.text.setdefault(inside, []).append(data)
        if {"td", "th"} & set(self.open[-3:]) and self.tables:
            self.tables[-1][-1][-1] += data

    def find(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    def rows(self, heading):
        """Rows, as dicts, of every table that has a column of this heading."""
        return [
            dict(zip(head, row, strict=True))
            for head, *body in self.tables
            if heading in head
            for row in body
        ]
