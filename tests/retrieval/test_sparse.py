import pytest

from retrieval.sparse import Bm25Encoder

ENCODER = Bm25Encoder()


def test_forms_of_a_word_share_their_index() -> None:
    assert ENCODER.encode_query("policies").indices == ENCODER.encode_query("Policy").indices


@pytest.mark.parametrize("text", ["", "  \n", "the of and", "🎉 … —"])
def test_text_without_a_word_that_counts_is_empty(text: str) -> None:
    assert ENCODER.encode_query(text).indices == ENCODER.encode_document(text).indices == []


def test_weight_grows_with_the_count_and_falls_with_the_length() -> None:
    once, twice = ENCODER.encode_document("leave"), ENCODER.encode_document("leave leave")
    buried = ENCODER.encode_document("leave " + " ".join(f"word{number}" for number in range(200)))
    assert twice.values[0] > once.values[0]
    assert dict(zip(buried.indices, buried.values, strict=True))[once.indices[0]] < once.values[0]


@pytest.mark.parametrize("text", ["отпуск", "إجازة", "छुट्टी", "連休", "Überstunden"])
def test_word_of_another_script_finds_itself(text: str) -> None:
    asked, held = ENCODER.encode_query(text), ENCODER.encode_document(f"{text} 28")
    assert set(asked.indices) and set(asked.indices) <= set(held.indices)
