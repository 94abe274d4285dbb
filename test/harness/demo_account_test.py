"""The demo's account finds what is missed and what is doubled."""
from harness.demo.account import Account
from harness.demo.scenario import AUDIT


def account_of(*received):
    account = Account()
    for row, audited in received:
        account.receive(row, AUDIT if audited is not None else "t", {"ids": audited or []})
    return account.missed, account.doubled


def test_it_counts():
    begin = [(1, []), (2, [1])]
    assert account_of(*begin, (3, None), (4, [3])) == (0, 0)
    assert account_of(*begin, (4, [3])) == (1, 0)
    assert account_of(*begin, (3, None), (3, None), (4, [3])) == (0, 1)
    # The first two name what is older than the subscription.
    assert account_of((7, [5]), (8, [6, 7])) == (0, 0)
