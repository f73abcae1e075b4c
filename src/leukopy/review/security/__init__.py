"""What keeps strangers out: sessions, proof of origin, limits, headers, and errors that tell no secret."""

from leukopy.review.security.bodies import BodyLimit
from leukopy.review.security.headers import Headers
from leukopy.review.security.logins import LogIns
from leukopy.review.security.one_time import OneTimeToken, TokenDoor
from leukopy.review.security.problems import UnexpectedErrors, answer_errors_as_problems
from leukopy.review.security.sessions import Reader, Who, current, find_session, live_session, same_site

__all__ = [
    "BodyLimit",
    "Headers",
    "LogIns",
    "OneTimeToken",
    "Reader",
    "TokenDoor",
    "UnexpectedErrors",
    "Who",
    "answer_errors_as_problems",
    "current",
    "find_session",
    "live_session",
    "same_site",
]
