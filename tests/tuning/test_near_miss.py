"""Near misses differ from their question in one place, and never name the answer."""

import pytest

from tests.tuning.test_train import BASE
from tuning.dataset import Passage, Question
from tuning.examples import Examples, StageData
from tuning.near_miss import NearMisses, names
from tuning.recipe import Recipe, Stage
from tuning.student import open_tokenizer

TEXT = (
    "In 1912 Ada Brook built the Alder Mill beside the river. In 1931 Tom Field sold the Birch Mill, and the older of the two halls"
    " burnt. The NRB and the QLT paid 40 crowns. A Danish smith and a Swedish mason came to Elm."
)
ELSEWHERE = "In 1950 Ruth Stone left the Cedar Yard to the ABC."


def a_question(text: str, answer: str) -> Question:
    passage = Passage(passage_id="p", document="d", title="", text=TEXT, origin="own")
    start = TEXT.index(answer)
    return Question(question_id=text, text=text, passage=passage, spans=((start, start + len(answer)),))


def near(question: Question, rate: float = 1.0) -> set[str]:
    other = Passage(passage_id="p2", document="d", title="", text=ELSEWHERE, origin="own")
    made = NearMisses([question.passage, other], rate, 3)
    return {text for epoch in range(60) if (text := made.of(question, epoch))}


def test_a_name_is_swapped_for_another_of_its_kind_but_never_for_the_answer() -> None:
    made = near(a_question("Who built the Alder Mill?", "Ada Brook"))
    assert made == {f"Who built the {name}?" for name in ("Tom Field", "Birch Mill", "Ruth Stone", "Cedar Yard")} - {
        "Who built the Birch Mill?"  # shares a word with what was asked
    }


def test_a_year_is_swapped_for_a_year_and_capitals_for_capitals() -> None:
    assert near(a_question("What was built in 1912?", "the Alder Mill")) == {"What was built in 1931?", "What was built in 1950?"}
    assert near(a_question("What did the NRB pay?", "40 crowns")) == {"What did the QLT pay?", "What did the ABC pay?"}
    assert near(a_question("Where did the Danish smith go?", "Elm")) == {"Where did the Swedish smith go?"}


def test_a_word_is_swapped_for_its_opposite() -> None:
    assert near(a_question("What happened to the older hall?", "burnt")) == {"What happened to the younger hall?"}


@pytest.mark.parametrize("text", ["How many halls are older?", "What is it?", "Is it the same or different?", "How long did it last?"])
def test_what_cannot_be_swapped_well_is_left_alone(text: str) -> None:
    assert near(a_question(text, "two")) == set()


def test_names_leave_out_how_a_sentence_opens() -> None:
    assert names("The Alder Mill stood. Here it burnt; it was here. Tom saw it.") == {"Alder Mill", "Tom"}


def test_near_misses_are_drawn_at_their_rate_and_again_the_same() -> None:
    question = a_question("Who built the Alder Mill?", "Ada Brook")
    drawn = [NearMisses([question.passage], 0.35, 3).of(question, epoch) for epoch in range(200)]
    assert 40 < sum(text is not None for text in drawn) < 100
    assert drawn == [NearMisses([question.passage], 0.35, 3).of(question, epoch) for epoch in range(200)]
    assert near(question, rate=0.0) == set()


def test_a_near_miss_is_a_window_of_its_own_that_holds_no_answer() -> None:
    question = a_question("Who built the Alder Mill?", "Ada Brook")
    stage = Stage(name="s", epochs=1, learning_rate=1e-4, near_miss_rate=1.0, title_rate=0.0)
    data = StageData(questions=[question], negatives={})
    tokenizer = open_tokenizer(BASE)
    (asked,), (missed,) = Examples(Recipe(stages=(stage,)), stage, data, tokenizer).epoch(0)
    assert asked.start > 0
    assert (missed.start, missed.end, missed.cut.sure) == (0, 0, False)
    assert asked.group != missed.group
    ambiguous = Recipe(stages=(stage,), ambiguous=("own",))
    assert len(Examples(ambiguous, stage, data, tokenizer).epoch(0)) == 1
