"""The answer's text: one short paragraph composed from the rule, the same every time."""

from collections.abc import Sequence
from typing import Final

from eco_actor.scan.rules import Rule, check_language

BACKEND: Final = "rule"
"""What a client sees in `answer.backend` for these texts."""

PARTICLES: Final = {
    "은/는": ("은", "는"),
    "이/가": ("이", "가"),
    "을/를": ("을", "를"),
    "과/와": ("과", "와"),
    "으로/로": ("으로", "로"),
}
# What one does with a thing: particle behind the bin, request, duty. Two bins are places to go to.
_PUT_IN: Final = ("에", "버려 주세요", "버려야")
_PUT: Final = {
    "bottle_return": ("으로/로", "가져가 주세요", "가져가야"),
    "bulky": ("에", "내놓아 주세요", "내놓아야"),
}
_FIRST_SYLLABLE, _LAST_SYLLABLE = ord("가"), ord("힣")
_FINALS = 28  # the syllable block is ordered so that code modulo 28 is the final; 0 means none
_RIEUL = 8
# How the last sign is read aloud: 1 일, 7 칠, 8 팔, L 엘, R 알 end in ㄹ; 0 (영, 십, 백), 3 삼,
# 6 육, M 엠 and N 엔 end in another consonant; all other digits and letters in a vowel.
_READ_WITH_RIEUL = frozenset("178lr")
_READ_WITH_FINAL = frozenset("036mn")


def with_particle(word: str, pair: str) -> str:
    """*word* with the Korean particle of *pair* that fits its last sound: 병, 은/는 -> 병은.

    Pairs: 은/는, 이/가, 을/를, 과/와, 으로/로; any other is a KeyError. What stands in closing
    parentheses is not read aloud, and quotation marks are looked through; a word without a
    readable end gets the form after a vowel.
    """
    after_consonant, after_vowel = PARTICLES[pair]
    has_final, is_rieul = _final_sound(word)
    if pair == "으로/로" and is_rieul:
        return word + after_vowel
    return word + (after_consonant if has_final else after_vowel)


def _final_sound(word: str) -> tuple[bool, bool]:
    """Whether the last sound is a consonant, and whether that is ㄹ."""
    spoken = word.rstrip()
    while spoken.endswith(")") and "(" in spoken:
        spoken = spoken[: spoken.rindex("(")].rstrip()
    for sign in reversed(spoken.lower()):
        if _FIRST_SYLLABLE <= ord(sign) <= _LAST_SYLLABLE:
            final = (ord(sign) - _FIRST_SYLLABLE) % _FINALS
            return final != 0, final == _RIEUL
        if sign.isalnum():
            is_rieul = sign in _READ_WITH_RIEUL
            return is_rieul or sign in _READ_WITH_FINAL, is_rieul
    return False, False


def answer_for(name: str, rule: Rule, lang: str) -> str:
    """The paragraph for a thing called *name*: bin, steps, reason. UnknownLanguage is raised.

    *rule* must be in the same language; when a condition moved the thing out of its usual bin,
    the text speaks of things like this one, so as not to state the exception as the rule. Where
    the bin is not, it says so, and where to go.
    """
    check_language(lang)
    if lang == "ko":
        subject = with_particle(f"이런 {name}" if rule.moved else name, "은/는")
        particle, please, should = _PUT.get(rule.bin_id, _PUT_IN)
        target = with_particle(rule.bin, particle) if particle in PARTICLES else rule.bin + particle
        here = f"{subject} {target} {please}."
        away = f"{subject} {target} {should} 하는데, 이곳에는 없어요."
    else:
        here = f"{name}{' like this' if rule.moved else ''}: use the {rule.bin}."
        away = f"{here.removesuffix('.')}, which is not here."
    verdict = (here,) if rule.where is None else (away, rule.where)
    return " ".join((*verdict, *rule.steps, rule.why))


def answer_unsure(names: Sequence[str], lang: str) -> str:
    """The text that asks the user to choose among *names*, of which there may be none.

    UnknownLanguage is raised.
    """
    check_language(lang)
    if lang == "ko":
        if not names:
            return "무엇인지 알아보지 못했어요. 종류를 직접 골라 주세요."
        if len(names) == 1:
            return f"무엇인지 확실하지 않아요. {with_particle(names[0], '이/가')} 맞나요?"
        return f"무엇인지 확실하지 않아요. {', '.join(names)} 중에서 골라 주세요."
    if not names:
        return "I could not tell what this is. Please choose its kind yourself."
    if len(names) == 1:
        return f"I am not sure what this is. Is it this: {names[0]}?"
    return f"I am not sure what this is. Please choose one: {'; '.join(names)}."
