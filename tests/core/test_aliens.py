"""Whose bodies are delivered, and which strangers are asked who they are."""

import pytest

from mirosd.core import aliens as module
from mirosd.core.aliens import MAX_STRANGERS, PATIENCE_S, SILENT_S, Aliens, Policy, Strangers, Verdict
from mirosd.core.seal import node_tag

OWN, KNOWN, ALLOWED, ALIEN = "0" * 32, "1" * 32, "2" * 32, "3" * 32


def standing(policy: Policy) -> Aliens:
    """Give a policy that has heard of two good nodes."""
    aliens = Aliens(policy, OWN)
    aliens.stand({KNOWN}, {ALLOWED}, {ALIEN})
    return aliens


class TestBodies:
    @pytest.mark.parametrize("policy", ["quarantine", "deny"])
    def test_known_nodes_are_delivered_at_once(self, policy: Policy) -> None:
        """Our own events, proved nodes' and allowed ones' are delivered, whatever session they are from."""
        for node in (OWN, KNOWN, ALLOWED):
            assert Verdict.DELIVER is standing(policy).verdict(node_tag(node), 0.0)

    @pytest.mark.parametrize("policy", ["quarantine", "deny"])
    def test_an_unknown_node_waits_and_is_quarantined(self, policy: Policy) -> None:
        """A node that may yet be proved is waited for; its patience counts from its first body."""
        aliens, tag = standing(policy), node_tag(ALIEN)
        verdicts = [aliens.verdict(tag, at_s) for at_s in (5.0, 5.0 + PATIENCE_S - 0.1, 5.0 + PATIENCE_S)]

        assert [Verdict.WAIT, Verdict.WAIT, Verdict.QUARANTINE] == verdicts

    def test_whoever_is_proved_meanwhile_is_delivered(self) -> None:
        """Proof ends the wait and the quarantine, and forgetting begins a new wait."""
        aliens, tag = standing("quarantine"), node_tag(ALIEN)
        aliens.verdict(tag, 0.0)
        aliens.verdict(tag, PATIENCE_S)

        assert frozenset({ALIEN}) == aliens.stand({KNOWN, ALIEN}, {ALLOWED}, set())
        assert Verdict.DELIVER is aliens.verdict(tag, PATIENCE_S)
        assert frozenset() == aliens.stand({KNOWN}, {ALLOWED}, {ALIEN})
        assert Verdict.WAIT is aliens.verdict(tag, PATIENCE_S)

    def test_where_aliens_are_allowed_everything_is_delivered(self) -> None:
        """The default quarantines nobody."""
        assert Verdict.DELIVER is standing("allow").verdict(node_tag(ALIEN), 1e6)

    def test_made_up_nodes_fill_nothing(self) -> None:
        """Of unknown nodes only so many are remembered."""
        aliens = standing("quarantine")
        for number in range(MAX_STRANGERS + 10):
            aliens.verdict(node_tag(str(number)), 0.0)

        assert MAX_STRANGERS == len(aliens._first_s)


class TestAdmission:
    def test_by_its_own_word_an_alien_is_a_peer_only_if_it_is_let_in(self) -> None:
        """Where aliens are allowed all are but those kept out; else the known and the allowed."""
        assert [True, True, False] == [standing("allow").is_admitted(node) for node in (KNOWN, "9" * 32, ALIEN)]
        for policy in ("quarantine", "deny"):
            admitted = [standing(policy).is_admitted(node) for node in (KNOWN, ALLOWED, "9" * 32, ALIEN)]
            assert [True, True, False, False] == admitted

    def test_a_denied_alien_is_not_even_asked(self) -> None:
        """Where no alien is ever taken only those that people allowed are asked."""
        assert [True, True, False] == [
            standing(policy).is_to_be_asked(ALIEN) for policy in ("allow", "quarantine", "deny")
        ]
        assert standing("deny").is_to_be_asked(ALLOWED)


class TestStrangers:
    def test_one_that_answers_is_asked_once_a_minute(self) -> None:
        """Who speaks every second and has answered is asked again after 60 s, if it still is a stranger."""
        strangers = Strangers()
        assert strangers.heard("a", 0.0)
        strangers.answered("a", 0.1)

        assert [60.1] == [at_s for at_s in (second + 0.1 for second in range(1, 61)) if strangers.heard("a", at_s)]

    def test_one_that_does_not_answer_is_asked_later_and_later(self) -> None:
        """After 1, 2, 4 ... 60 s."""
        strangers = Strangers()
        asked = [second for second in range(300) if strangers.heard("a", float(second))]

        assert [0, 1, 3, 7, 15, 31, 63, 123, 183, 243] == asked

    def test_one_that_was_silent_is_new(self) -> None:
        """After 60 s without a word it is asked at once, as is one that was forgotten."""
        strangers = Strangers()
        strangers.heard("a", 0.0)
        strangers.answered("a", 0.0)

        assert not strangers.heard("a", 59.0)
        assert strangers.heard("a", 59.0 + SILENT_S + 0.1)
        strangers.answered("a", 119.2)
        strangers.forget("a")
        assert strangers.heard("a", 120.0)

    def test_made_up_ids_fill_nothing_and_push_nobody_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Beyond the bound new ones are ignored until an old one has been silent for 60 s."""
        monkeypatch.setattr(module, "MAX_STRANGERS", 2)
        strangers = Strangers()

        assert [True, True, False] == [strangers.heard(node, 0.0) for node in "abc"]
        strangers.heard("b", 50.0)
        assert [True, False] == [strangers.heard(node, 61.0) for node in "cd"]
        assert {"b", "c"} == set(strangers._strangers)
