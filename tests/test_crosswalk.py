"""The paper, line by line: every part of it has its place in the book."""

from companion import notebook

EQUATIONS = range(1, 12)


def test_the_paper_s_equations_have_its_numbers_in_the_first_chapter():
    numbers = notebook.equation_numbers()
    assert {n: numbers[f"eq-paper-{n}"] for n in EQUATIONS} == {n: f"1.{n}" for n in EQUATIONS}


def test_equations_are_written_out_for_notebooks_with_their_numbers():
    source = "By {eq}`eq-paper-2`:\n\n$$\np = x\n$$ (eq-paper-3)\n"
    assert notebook.write_out(source, {}) == "By (1.2):\n\n$$\np = x\n\\tag{1.3}\n$$\n"
