"""The rotation rule: no false alarms for honest clients, no life after reuse or revoke."""

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from linqi import ConfigurationError, Key
from linqi.errors import RefreshRefused
from linqi.jose.session_ids import subject_tag
from linqi.sessions.record import RotationOutcome, SessionRecord
from linqi.sessions.refresh import SessionSettings, decide_rotation, revoked
from linqi.sessions.refresh_token import RefreshTokens, new_session_id

RULES = SessionSettings(idle=1000, absolute=5000, grace=10, recover_seconds=300)
START = 1_800_000_000.0


def session(**changes: object) -> SessionRecord:
    """Return a session whose first token was just made."""
    return SessionRecord(
        **{
            "session_id": "s",
            "subject": "alice",
            "rotated_at": START,
            "first_rotated_at": START,
            "started_at": START,
            "expires_at": START + 1000,
            "ends_at": START + 5000,
        }
        | changes
    )


@pytest.mark.parametrize(
    ("counter", "age", "kind"),
    [
        (5, 0, "rotated"),
        (5, 999, "rotated"),
        (5, 1000, "expired"),
        (4, 0, "replayed"),
        (4, 10, "replayed"),
        (4, 10.001, "recovered"),
        (3, 0, "reused"),
        (0, 0, "reused"),
        (6, 0, "recovered"),
        (7, 999, "recovered"),
        (7, 1000, "expired"),
        (8, 0, "reused"),
    ],
)
def test_the_rule_for_each_counter(counter: int, age: float, kind: str) -> None:
    """Current, parent in and after the grace, ahead by a few lost writes, anything else."""
    row = session(counter=5, parent=4)
    assert decide_rotation(row, counter, START + age, RULES).kind == kind


def test_a_replay_writes_nothing_and_does_not_extend_the_grace() -> None:
    """D4: the same successor, and the clock of the grace runs on."""
    row = session(counter=5, parent=4)
    for age in (1, 5, 9):
        assert decide_rotation(row, 4, START + age, RULES).record is row


def test_recovery_supersedes_the_lost_token_which_then_counts_as_stolen() -> None:
    """The victim's next use of it trips the alarm, if it was a thief who recovered."""
    row = session(counter=5, parent=4)
    after = decide_rotation(row, 4, START + 60, RULES).record
    assert after is not None
    assert (after.counter, after.parent) == (6, 4)
    assert decide_rotation(after, 4, START + 61, RULES).kind == "replayed"
    assert decide_rotation(after, 6, START + 61, RULES).kind == "rotated"
    assert decide_rotation(after, 5, START + 61, RULES).kind == "reused"


def test_recover_seconds_0_is_strict() -> None:
    """For deployments to which a lost reply is cheaper than a theft: after the grace, reuse."""
    strict = SessionSettings(idle=1000, absolute=5000, grace=10, recover_seconds=0)
    row = session(counter=5, parent=4)
    assert decide_rotation(row, 4, START + 10, strict).kind == "replayed"
    outcome = decide_rotation(row, 4, START + 11, strict)
    assert outcome.kind == "reused"
    assert outcome.record is not None
    assert outcome.record.cause == "reuse"


def test_d4_recovery_does_not_renew_its_own_bound() -> None:
    """RFC 9700, 4.14.2: a spent token is worth nothing `recover_seconds` after its rotation."""
    row = session(counter=5, parent=4)
    for age in (100, 200, 299, 300):
        outcome = decide_rotation(row, 4, START + age, RULES)
        assert outcome.kind == ("replayed" if age == 300 else "recovered")
        assert outcome.record is not None
        row = outcome.record
        assert row.first_rotated_at == START
    assert decide_rotation(row, 4, START + 300.001, RULES).kind == "reused"
    assert decide_rotation(row, row.counter, START + 301, RULES).kind == "rotated"


def test_a_rotation_starts_the_bound_of_the_next_parent() -> None:
    """The time is counted from the first rotation away from that parent."""
    row = decide_rotation(session(counter=5, parent=4), 5, START + 250, RULES).record
    assert row is not None
    assert (row.parent, row.first_rotated_at) == (5, START + 250)
    assert decide_rotation(row, 5, START + 549, RULES).kind == "recovered"
    assert decide_rotation(row, 5, START + 551, RULES).kind == "reused"


def test_d5_rotation_extends_idle_and_never_the_end() -> None:
    """The last token expires with the session."""
    row, now = session(), START
    for _ in range(20):
        now += 400
        outcome = decide_rotation(row, row.counter, now, RULES)
        if outcome.kind != "rotated":
            break
        assert outcome.record is not None
        row = outcome.record
        assert row.expires_at <= row.ends_at == START + 5000
    assert outcome.kind == "expired"
    assert now >= START + 5000


def test_a_command_past_its_deadline_changes_nothing() -> None:
    """Whatever it presents: the client has gone on, and its token would look reused."""
    row = session(counter=5, parent=4)
    for counter in (0, 4, 5, 6):
        outcome = decide_rotation(row, counter, START + 2.001, RULES, START + 2)
        assert outcome == RotationOutcome("late", None, START + 2.001)
        in_time = decide_rotation(row, counter, START + 2, RULES, START + 2)
        assert in_time == decide_rotation(row, counter, START + 2, RULES)
    assert decide_rotation(None, 0, START + 3, RULES, START + 2).kind == "late"


class HonestClients(RuleBasedStateMachine):
    """One session in a browser with five tabs, lost replies, re-sent requests, and a thief."""

    @initialize()
    def begin(self) -> None:
        """Sign in."""
        self.row = session()
        self.now = START
        self.held = 0
        self.in_flight: list[tuple[int, float]] = []
        self.stolen: list[int] = []
        self.thief_acted = False
        self.is_revoked = False
        self.parted_at: dict[int, float] = {}

    def present(self, counter: int) -> tuple[str, int]:
        """Present a token; give what came of it and the number of the successor."""
        outcome = decide_rotation(self.row, counter, self.now, RULES)
        assert outcome.record is not None
        self.row = outcome.record
        if outcome.kind == "rotated":
            assert counter not in self.parted_at, "a token rotates once"
            self.parted_at[counter] = self.now
        elif outcome.kind in ("replayed", "recovered"):
            assert self.now - self.parted_at[counter] <= RULES.recover_seconds
        return outcome.kind, outcome.record.counter

    @rule(pause=st.sampled_from([0.0, 1.0, 9.0, 10.0, 11.0, 100.0, 299.0]))
    def wait(self, pause: float) -> None:
        """Let time pass, never so long that the session is idle."""
        self.now = max(self.now, min(self.now + pause, self.row.expires_at - 1))

    @precondition(lambda self: not self.thief_acted and not self.is_revoked)
    @rule(is_lost=st.booleans(), tabs=st.integers(1, 5), resent=st.booleans())
    def refresh(self, is_lost: bool, tabs: int, resent: bool) -> None:
        """All tabs present what the browser holds; the network may lose every reply."""
        if self.row.ends_at - self.now < 2:
            return
        parted_at = self.parted_at.get(self.held)
        answers = [self.present(self.held) for _ in range(tabs + resent)]
        if parted_at is not None and self.now - parted_at > RULES.recover_seconds:
            assert answers[0][0] == "reused", "a reply was lost for too long"
            self.is_revoked = True
            return
        assert {kind for kind, _ in answers} <= {"rotated", "replayed", "recovered"}
        assert len({counter for _, counter in answers}) == 1, "tabs must converge"
        if not is_lost:
            self.held = answers[0][1]

    @precondition(lambda self: self.row.expires_at - self.now > 3)
    @rule()
    def give_up(self) -> None:
        """Leave a command of a worker under way while the client goes on."""
        self.in_flight.append((self.held, self.now + 2))
        self.now += 2.001

    @precondition(lambda self: self.in_flight)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """Deliver what was given up, whatever happened since: nothing changes."""
        counter, deadline = data.draw(st.sampled_from(self.in_flight))
        outcome = decide_rotation(self.row, counter, self.now, RULES, deadline)
        assert (outcome.kind, outcome.record) == ("late", None)

    @rule()
    def steal(self) -> None:
        """Copy, as a thief, what the browser holds just now."""
        self.stolen.append(self.held)

    @precondition(lambda self: self.stolen)
    @rule(data=st.data())
    def use_stolen(self, data: st.DataObject) -> None:
        """Present a copy, as a thief."""
        counter = data.draw(st.sampled_from(self.stolen))
        kind, successor = self.present(counter)
        if kind in ("rotated", "recovered", "replayed"):
            self.stolen.append(successor)
        self.thief_acted = True

    @precondition(lambda self: self.thief_acted and not self.is_revoked)
    @rule()
    def victim_refreshes(self) -> None:
        """After a theft both refresh: before long one of them trips the alarm."""
        kind, successor = self.present(self.held)
        if kind in ("rotated", "recovered", "replayed"):
            self.held = successor

    @rule()
    def revoke(self) -> None:
        """Sign out."""
        self.row = revoked(self.row, self.now, "logout")
        self.is_revoked = True

    @invariant()
    def nothing_lives_after_a_revocation(self) -> None:
        """I2: neither reuse nor revoke is ever undone, by no token at all."""
        if getattr(self, "row", None) is not None and self.row.revoked_at:
            for counter in range(self.row.counter + 2):
                assert decide_rotation(self.row, counter, self.now, RULES).kind == "revoked"

    @invariant()
    def at_most_one_leaf_lives(self) -> None:
        """I1: of all numbers exactly the current one rotates."""
        if getattr(self, "row", None) is not None and self.row.is_live(self.now):
            outcomes = [
                decide_rotation(self.row, number, self.now, RULES)
                for number in range(self.row.counter + 2)
            ]
            assert [outcome.kind for outcome in outcomes].count("rotated") == 1


TestHonestClients = HonestClients.TestCase
TestHonestClients.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)

SECRET = Key.generate("HS256")
TOKENS = RefreshTokens(SECRET, issuer="https://shop.example")


def test_d1_a_token_says_what_was_put_in_and_nothing_else_is_needed() -> None:
    """Made twice it is the same: no token has to be kept to be given again."""
    name = new_session_id("alice")
    token = TOKENS.make(name, 7, START + 5.9)
    assert token == TOKENS.make(name, 7, START + 5.9)
    assert len(token) == 92
    said = TOKENS.check(token)
    assert (said.session_id, said.counter, said.expires_at) == (name, 7, START + 5)


@pytest.mark.parametrize("position", range(0, 92, 3))
def test_d1_every_changed_character_is_found(position: int) -> None:
    """A forged token is refused by itself: no store is asked."""
    token = TOKENS.make(new_session_id("alice"), 7, START)
    other = "A" if token[position] != "A" else "B"
    with pytest.raises(RefreshRefused):
        TOKENS.check(token[:position] + other + token[position + 1 :])


@pytest.mark.parametrize(
    "token",
    ["", "lqr_", "x" * 92, "lqr_" + "A" * 88, "lqr_" + "=" * 88, "l\u00e4r_" + "A" * 88, "a.b.c"],
)
def test_what_is_no_refresh_token_is_refused(token: str) -> None:
    """Access tokens, empty ones, other alphabets: never anything but a clear refusal."""
    with pytest.raises(RefreshRefused) as caught:
        TOKENS.check(token)
    assert caught.value.reason in ("malformed", "forged")


def test_d1_a_token_has_one_spelling() -> None:
    """``+`` and ``/`` stand for the same bits as ``-`` and ``_``, and are refused like padding."""
    tokens = (TOKENS.make(new_session_id("alice"), 7, START) for _ in range(1000))
    token = next(token for token in tokens if "-" in token and token.count("_") > 1)
    assert TOKENS.check(token)
    head, body = token[:4], token[4:]
    for old, new in (("-", "+"), ("_", "/")):
        with pytest.raises(RefreshRefused) as caught:
            TOKENS.check(head + body.replace(old, new))
        assert caught.value.reason == "malformed"
    with pytest.raises(RefreshRefused, match="not a refresh token"):
        TOKENS.check(token[:-1] + "=")


def test_d1_a_token_is_bound_to_its_issuer_and_secret() -> None:
    """Another deployment with the same secret, and another secret, refuse it."""
    token = TOKENS.make(new_session_id("alice"), 0, START)
    for others in (
        RefreshTokens(SECRET, issuer="https://other.example"),
        RefreshTokens(Key.generate("HS256"), issuer="https://shop.example"),
    ):
        with pytest.raises(RefreshRefused):
            others.check(token)


def test_secrets_rotate_newest_last() -> None:
    """Old tokens stay good while their secret is listed; new ones are made by the last."""
    new = Key.generate("HS256")
    old_token = TOKENS.make(new_session_id("alice"), 0, START)
    both = RefreshTokens([SECRET, new], issuer="https://shop.example")
    assert both.check(old_token)
    made = both.make(new_session_id("alice"), 0, START)
    assert RefreshTokens(new, issuer="https://shop.example").check(made)
    with pytest.raises(RefreshRefused):
        TOKENS.check(made)


def test_secrets_that_share_an_id_are_told_apart_by_their_macs() -> None:
    """The id is one byte: of 60 random secrets some share it nearly always."""
    secrets = [Key.generate("HS256") for _ in range(60)]
    session = new_session_id("alice")
    made = [
        RefreshTokens(s, issuer="https://shop.example").make(session, 0, START) for s in secrets
    ]
    everyone = RefreshTokens(secrets, issuer="https://shop.example")
    assert all(everyone.check(token).session_id == session for token in made)


@pytest.mark.parametrize("secret", [[], Key.generate("ES256"), [SECRET, SECRET]])
def test_unfit_secrets_are_refused(secret: object) -> None:
    """None at all, public keys, twice the same."""
    with pytest.raises(ConfigurationError):
        RefreshTokens(secret, issuer="https://shop.example")  # type: ignore[arg-type]


def test_session_ids_of_a_subject_begin_alike_and_are_unguessable() -> None:
    """48 bits tell the subject's place, 128 are random."""
    names = {new_session_id("alice") for _ in range(100)}
    assert len(names) == 100
    assert {name[:8] for name in names} == {subject_tag("alice")}
    assert {len(name) for name in names} == {30}


@pytest.mark.parametrize(
    "changes",
    [
        *({"idle": value} for value in (59, 1e9, float("nan"), True)),
        *({"grace": value} for value in (-1, 61, "10")),
        *({"most_sessions": value} for value in (0, 1.5)),
        *({"recover_seconds": value} for value in (-1, 1e9, "day")),
        *({"most_forgotten": value} for value in (-1, 10_001, 1.5)),
        {"absolute": 60},
        {"cap_spread": 0.6},
    ],
)
def test_every_session_setting_has_bounds(changes: dict[str, object]) -> None:
    """Faults are found when the settings are made."""
    with pytest.raises(ConfigurationError):
        SessionSettings(**changes)  # type: ignore[arg-type]
