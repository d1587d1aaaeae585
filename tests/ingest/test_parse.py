"""Each format gives clean text, and blocks that are slices of it."""

import io
import unicodedata
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ParseFailed
from ingest.parse import media_type_of, parse
from ingest.parsed import Parsed, clean

MARKDOWN = """---
title: "Leave policy"
owner: Ann
---
# Leave

Everybody gets **25 days**, see
[the law](https://example.com/law) and ![a chart](chart.png).
<!-- TODO: hidden -->

1. Ask `early`.
2. Wait.
   - Not too long.

| Country | Days |
|---------|------|
| France  | 27   |

```python
days = 25

print(days)
```
"""


def blocks(parsed: Parsed) -> list[tuple[str, str]]:
    return [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks]


def parsed_text(content: str | bytes, name: str) -> Parsed:
    media_type = media_type_of(name)
    assert media_type is not None
    return parse(content.encode() if isinstance(content, str) else content, media_type)


def test_markdown_becomes_plain_text() -> None:
    parsed = parsed_text(MARKDOWN, "a.md")
    assert parsed.title == "Leave policy"
    assert blocks(parsed) == [
        ("heading", "Leave"),
        ("paragraph", "Everybody gets 25 days, see the law and a chart."),
        ("item", "1. Ask early."),
        ("item", "2. Wait."),
        ("item", "- Not too long."),
        ("row", "Country: France; Days: 27"),
        ("code", "days = 25\n\nprint(days)"),
    ]


def test_markdown_heading_inside_a_fence_is_code() -> None:
    assert [kind for kind, _ in blocks(parsed_text("Title\n=====\n\n~~~\n# no heading\n~~~\n", "a.md"))] == ["heading", "code"]


def test_markdown_template_tags_leave_their_words() -> None:
    text = (
        'Ask {% slack_channel "travel" %} or see {% page "/leave/", "the leave page" %}.\n{% include "x.html" %}\n\n'
        "{% comment %}no{% endcomment %}"
    )
    assert parsed_text(text, "a.md").text == "Ask travel or see the leave page."


def test_markdown_with_front_matter_only_is_an_empty_document() -> None:
    assert parsed_text("---\ntitle: Moved\n---\n", "a.md").blocks == ()


def test_html_loses_the_page_around_the_content() -> None:
    page = """<html><head><title>Hours | Portal</title><style>p{}</style></head><body><nav><a>Start</a></nav>
    <header>Portal</header><p hidden>secret</p><p style="display: none">secret</p><script>alert(1)</script>
    <h1>Hours</h1><p>Open from <b>7</b>
    to 21.<br>Closed on Sunday.</p><ol><li>Ring<ul><li>twice</li></ul></li></ol>
    <table><tr><th>Day</th><th>Hours</th></tr><tr><td>Monday</td><td>7 to 21</td></tr></table><footer>Imprint</footer></body></html>"""
    parsed = parsed_text(page, "a.html")
    assert blocks(parsed) == [
        ("heading", "Hours"),
        ("paragraph", "Open from 7 to 21.\nClosed on Sunday."),
        ("item", "1. Ring"),
        ("item", "- twice"),
        ("row", "Day: Monday; Hours: 7 to 21"),
    ]
    assert parsed.title is None and parsed_text("<title>Only</title><p>Words", "a.html").title == "Only"


def test_plain_text_joins_wrapped_lines_and_finds_headings() -> None:
    text = (
        "REFUNDS\n\n1. Who decides\n\nEvery agent may refund small sums without asking anybody; the\nshift lead decides the rest.\n\n"
        "  * first\n  * second\n\nAnn\nBob\n"
    )
    assert blocks(parsed_text(text, "a.txt")) == [
        ("heading", "REFUNDS"),
        ("heading", "1. Who decides"),
        ("paragraph", "Every agent may refund small sums without asking anybody; the shift lead decides the rest."),
        ("item", "- first"),
        ("item", "- second"),
        ("paragraph", "Ann\nBob"),
    ]


def test_rst_is_read_without_reaching_for_other_files(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("xyzzy")
    text = f"""Release\n=======\n\n:Owner: Ann\n\nSee ``code`` and `a link <http://x.y>`_.\n
.. include:: {tmp_path / "secret.txt"}\n\n.. code:: python\n\n   a = 1\n
====  =====\nRing  Wait\n====  =====\n0     2 days\n====  =====\n"""
    parsed = parsed_text(text, "a.rst")
    assert blocks(parsed) == [
        ("heading", "Release"),
        ("item", "Owner: Ann"),
        ("paragraph", "See code and a link."),
        ("code", "a = 1"),
        ("row", "Ring: 0; Wait: 2 days"),
    ]


@pytest.mark.parametrize(
    ("content", "name", "lines"),
    [
        ("part,price\nCable,11.40\n", "a.csv", ["part: Cable; price: 11.40"]),
        ("part;price\n\"Cable; long\";11,40\n", "a.csv", ["part: Cable; long; price: 11,40"]),
        ("part\tprice\nCable\t11\n", "a.tsv", ["part: Cable; price: 11"]),
        ("1,2\n3,4\n", "a.csv", ["1: 2", "3: 4"]),
        ('{"name": "Dock", "faults": [{"code": "F-1", "clears": true}]}', "a.json", ["name: Dock", "faults", "code: F-1; clears: true"]),
        ('{"a": 1}\n{"a": 2}\n', "a.jsonl", ["a: 1", "a: 2"]),
    ],
)  # fmt: skip
def test_tables_become_lines_that_stand_alone(content: str, name: str, lines: list[str]) -> None:
    assert [text for _, text in blocks(parsed_text(content, name))] == lines


def test_docx_is_read_in_order_without_deletions() -> None:
    word = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    body = (
        '<w:p><w:pPr><w:pStyle w:val="H1"/></w:pPr><w:r><w:t>Leave</w:t></w:r></w:p>'
        "<w:p><w:r><w:t>Everybody gets </w:t></w:r><w:del><w:r><w:delText>24</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>25 days.</w:t></w:r></w:ins></w:p>"
        "<w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>Ask.</w:t></w:r></w:p>"
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>Country</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>Days</w:t></w:r></w:p></w:tc></w:tr>"
        "<w:tr><w:tc><w:p><w:r><w:t>France</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>27</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
    )
    styles = '<w:style w:styleId="H1"><w:name w:val="heading 1"/></w:style>'
    content = docx(f"<w:document {word}><w:body>{body}</w:body></w:document>", f"<w:styles {word}>{styles}</w:styles>")
    assert blocks(parsed_text(content, "a.docx")) == [
        ("heading", "Leave"),
        ("paragraph", "Everybody gets 25 days."),
        ("item", "- Ask."),
        ("row", "Country: France; Days: 27"),
    ]


def test_pdf_lines_are_joined_to_paragraphs() -> None:
    content = pdf(
        [
            (20, 72, 740, "Leave policy"),
            (10, 72, 700, "Everybody gets twenty-five days of leave, and the num-"),
            (10, 72, 688, "ber grows with every year that somebody stays with us."),
            (10, 72, 650, "Ask your team lead first."),
        ]
    )
    assert blocks(parsed_text(content, "a.pdf")) == [
        ("heading", "Leave policy"),
        ("paragraph", "Everybody gets twenty-five days of leave, and the number grows with every year that somebody stays with us."),
        ("paragraph", "Ask your team lead first."),
    ]


def test_pdf_table_cells_stay_with_their_columns() -> None:
    table = [(10, left, 700 - 30 * row, text) for row, texts in enumerate(
        [("Country", "Days", "Remark"), ("France", "27", "carried over until"), ("Portugal", "25", "none")]
    ) for left, text in zip((72, 200, 300), texts, strict=True)]  # fmt: skip
    table.insert(6, (10, 300, 658, "the end of June"))
    assert blocks(parsed_text(pdf([(10, 72, 740, "The days of each country in a year."), *table]), "a.pdf")) == [
        ("paragraph", "The days of each country in a year."),
        ("row", "Country: France; Days: 27; Remark: carried over until the end of June"),
        ("row", "Country: Portugal; Days: 25; Remark: none"),
    ]


def test_pdf_columns_of_prose_are_no_table() -> None:
    left = [(10, 72, 700 - 12 * row, f"prose of the left column, line {row}") for row in range(3)]
    right = [(10, 330, 700 - 12 * row, f"prose of the right column, line {row}") for row in range(3)]
    both = [line for pair in zip(left, right, strict=True) for line in pair]
    assert {kind for kind, _ in blocks(parsed_text(pdf(both), "a.pdf"))} == {"paragraph"}


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (b"", "a.md", "is empty"),
        (b" \n\n", "a.txt", "is empty"),
        (b"%PDF-1.4 nonsense", "a.pdf", "not a PDF"),
        (b"PK nonsense", "a.docx", "not a Word document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "a.docx", "is encrypted"),
        ((Path(__file__).parent / "files" / "encrypted.pdf").read_bytes(), "a.pdf", "is encrypted"),
        (b'{"a": ', "a.json", "not valid JSON"),
        (b"\xff\xfea", "a.txt", "not valid utf-16"),
        (b"<html><script>1</script></html>", "a.html", "holds no text"),
        (b"[" * 200_000, "a.json", "nested too deeply"),
    ],
)
def test_bad_file_has_a_reason(content: bytes, name: str, reason: str) -> None:
    with pytest.raises(ParseFailed, match=reason):
        parsed_text(content, name)


def test_docx_that_unpacks_to_much_is_refused() -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open("word/document.xml", "w") as entry:
        for _ in range(51):
            entry.write(bytes(10_000_000))
    with pytest.raises(ParseFailed, match="unpacks to more"):
        parsed_text(held.getvalue(), "a.docx")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "shift_jis"])
def test_text_is_read_in_its_encoding(encoding: str) -> None:
    text = (
        "これは日本語の文書です。休暇は年間二十五日あります。" * 4
        if encoding == "shift_jis"
        else "Überstunden für Zoë kosten fünfzig Franken; Größe und Maß zählen. " * 4
    )
    assert parsed_text(text.encode(encoding), "a.txt").text == text.strip()


def test_a_zero_byte_does_not_make_text_another_encoding() -> None:
    assert parsed_text(b"hello\0world\n", "a.txt").text == "helloworld"
    assert parsed_text("Überstunden kosten fünfzig Franken im Jahr.".encode("utf-16-le"), "a.txt").text.startswith("Überstunden")


def test_hidden_characters_are_removed() -> None:
    assert clean("a\u200bb\u202ec\x00d\ufeffe\u00ad\U000e0041") == "abcde"
    assert clean("می\u200cخواهم") == "می\u200cخواهم"


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(["a.md", "a.txt", "a.html", "a.rst", "a.csv"]), st.text(max_size=300))
def test_any_text_gives_clean_text_and_exact_blocks(name: str, text: str) -> None:
    try:
        parsed = parsed_text(text.encode("utf-8", "surrogatepass"), name)
    except ParseFailed:
        return
    assert unicodedata.is_normalized("NFC", parsed.text)
    assert not any(unicodedata.category(character) in ("Cc", "Cs") and character != "\n" for character in parsed.text)
    end = 0
    for block in parsed.blocks:
        assert not parsed.text[end : block.start].strip() and parsed.text[block.start : block.end].strip()
        end = block.end
    assert end == len(parsed.text)


def docx(document: str, styles: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("word/document.xml", document)
        archive.writestr("word/styles.xml", styles)
    return held.getvalue()


def pdf(lines: list[tuple[int, int, int, str]]) -> bytes:
    """One page with lines of (type size, place from the left, height on the page, text)."""
    stream = "".join(f"BT /F1 {size} Tf {left} {height} Td ({text}) Tj ET\n" for size, left, height, text in lines).encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%sendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"xref\n0 6\n0000000000 65535 f \n" + table + b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(out)


@pytest.mark.parametrize(
    "code",
    ["'{:.2f}'.format(x)", "{:ok, pid} = start()", '{:name "Ann"}', "{% for h in groups['web'] %}", "{% comment %} kept {% endcomment %}"],
)
@pytest.mark.parametrize("frame", [
    "```\n{}\n```", "~~~ jinja\n{}\n~~~", "    {}", "- item\n\n  ```\n  {}\n  ```", "Use `{}` here.", "Use `` {} `` here.",
])  # fmt: skip
def test_markdown_code_keeps_what_looks_like_a_command(code: str, frame: str) -> None:
    document = f"# Title {{: .no_toc }}\n\n{frame.replace('{}', code)}\n\nEnd {{% endif %}}."
    text = parse(document.encode(), "text/markdown").text
    assert code in text and "no_toc" not in text and "endif" not in text


def test_markdown_attributes_go_and_other_braces_stay() -> None:
    attributes = ("{:.a}", "{: #b .c}", '{: target="_blank" }', "{:toc}", "{: .x rel='y'}", '{::options parse="off" /}')
    for attribute in attributes:
        assert parse(f"Words{attribute}.".encode(), "text/markdown").text == "Words.", attribute
    for words in ("{:ok, pid} = start()", '{:name "Ann"}', "'{:.2f}'.format(x)"):
        assert parse(f"Say {words} now.".encode(), "text/markdown").text == f"Say {words} now."


def test_html_item_without_words_lends_its_mark_to_nobody() -> None:
    parsed = parse(b"<ul><li></li></ul><p>After the list.</p>", "text/html")
    assert [(block.kind, parsed.text[block.start : block.end]) for block in parsed.blocks] == [("paragraph", "After the list.")]


@pytest.mark.parametrize("at", [0, 40, -1])
def test_bad_byte_does_not_turn_utf8_into_something_else(at: int) -> None:
    content = bytearray("Überstunden, Größe, Urlaubstage für alle Beschäftigten. 有給休暇は二十五日。".encode() * 3)
    content[at:at] = b"\xff"
    text = parse(bytes(content), "text/plain").text
    assert "Größe" in text and text.count("\N{REPLACEMENT CHARACTER}") <= 3
    assert "有給休暇" in text and "Ã" not in text
