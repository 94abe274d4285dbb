"""docs/messages.md: every error of the extension with what to do, generated from the sources; and lines of the log with
what they mean, each of which the gateway can still write.

    python3 test/e2e/messages_test.py     prints the generated part anew
"""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- Printed by test/e2e/messages_test.py -->\n", "<!-- end -->\n"
STRINGS = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'


def text_of(strings, placeholder):
    """Of adjacent literals in C++; what is filled in is shown as dots."""
    text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', strings))
    text = text.replace('\\"', '"').replace("%%", "\0")
    return re.sub(placeholder, "…", text).replace("\0", "%")


def calls(source, name):
    """The whole of each call of `name` in C++."""
    for match in re.finditer(rf"\b{name}\(", source):
        depth, i = 0, match.end() - 1
        while True:
            if source[i] == '"':
                i = re.compile(r'"(?:[^"\\]|\\.)*"').match(source, i).end() - 1
            depth += {"(": 1, ")": -1}.get(source[i], 0)
            if depth == 0:
                break
            i += 1
        yield source[match.start():i + 1]


def sql_errors():
    errors = set()
    for path in sorted((ROOT / "extension").glob("*.cpp")):
        for call in calls(path.read_text(), "ereport"):
            def texts(name):
                found = re.findall(rf"{name}(?:_internal|_plural)?\(\s*{STRINGS}", call)
                return [text_of(strings, r"%l{0,2}[a-z]") for strings in found]
            for message in texts("errmsg"):
                if message.strip("…"):  # not one that is passed on
                    errors.add((message, " / ".join(texts("errhint"))))
    return sorted(errors)


def generated():
    lines = [f"| {message} | {hint} |\n" for message, hint in sql_errors()]
    return "| Error | What to do |\n| --- | --- |\n" + "".join(lines)


def test_every_error_of_the_extension_says_what_to_do():
    assert len(sql_errors()) > 25
    assert [message for message, hint in sql_errors() if not hint] == []


def test_the_list_of_errors_is_the_printed_one():
    page = (ROOT / "docs/messages.md").read_text()
    assert page.split(BEGIN)[1].split(END)[0] == generated(), "print it anew: see the head of messages_test.py"


def test_the_gateway_can_write_every_line_that_is_explained():
    sources = "".join(path.read_text() for path in sorted((ROOT / "gateway").rglob("*.*")))
    literals = {text_of(strings, r"\{[^}]*\}") for strings in re.findall(STRINGS, sources)}
    lines = re.findall(r"^\| `(.*?)` \|", (ROOT / "docs/messages.md").read_text().split(END)[1], flags=re.M)
    assert len(lines) > 20
    for line in lines:
        assert any(line in literal for literal in literals), f"the gateway writes this no more: {line}"


def warnings_and_errors():
    """What the gateway logs at these levels; not what it only passes on, whose words are somebody else's."""
    found = set()
    for path in sorted((ROOT / "gateway").rglob("*.*")):
        if path.suffix not in (".cpp", ".h") or path.stem in ("tail", "log"):
            continue
        source = re.sub(r'("(?:[^"\\\n]|\\.)*")|//.*', lambda found: found[1] or "", path.read_text())
        logged = [*calls(source, "log::warning"), *calls(source, "log::error"),
                  *(call for name in ("lines.write", "log::log") for call in calls(source, name)
                    if "Level::warning" in call or "Level::error" in call)]
        for call in logged:
            strings = re.search(STRINGS, call)
            text = text_of(strings[1], r"\{[^}]*\}") if strings else ""
            if re.search(r"\w{3}", text.replace('database "…": …', "")):
                found.add(text)
    return found


def test_every_warning_and_error_of_the_gateway_is_explained():
    lines = re.findall(r"^\| `(.*?)` \|", (ROOT / "docs/messages.md").read_text().split(END)[1], flags=re.M)
    logged = warnings_and_errors()
    assert len(logged) > 30
    missing = [text for text in logged if not any(line in text for line in lines)]
    assert not missing, "docs/messages.md does not explain these:\n" + "\n".join(sorted(missing))


if __name__ == "__main__":
    print(generated(), end="")
