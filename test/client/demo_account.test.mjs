// The account of the demo's page finds what is missed, doubled, and delivered although it was rolled back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Account, AUDIT } from "../../client/demo_account.js";

const audit = (id, ids) => ({ id, type: AUDIT, payload: { ids } });
const other = (id) => ({ id, type: "t", payload: null });
const job = (id, how, number) => ({ id, type: `export_job/${how}`, payload: { job: number } });

function accountOf(...notifications) {
  const account = new Account();
  notifications.forEach((notification) => account.receive(notification));
  assert.equal(account.isRight, account.missed + account.doubled + account.undone === 0);
  return [account.missed, account.doubled, account.undone];
}

test("what is missed and doubled is counted", () => {
  const begin = [audit(1, []), audit(2, [1])];
  assert.deepEqual(accountOf(...begin, other(3), audit(4, [3])), [0, 0, 0]);
  assert.deepEqual(accountOf(...begin, audit(4, [3])), [1, 0, 0]);
  assert.deepEqual(accountOf(...begin, other(3), other(3), audit(4, [3])), [0, 1, 0]);
});

test("the first two audits may name what is older than the page", () => {
  assert.deepEqual(accountOf(audit(7, [5]), audit(8, [6, 7])), [0, 0, 0]);
});

test("what was rolled back and is delivered is counted", () => {
  assert.deepEqual(accountOf(job(1, "committed", 1), job(2, "rolled_back", 2)), [0, 0, 0]);
  assert.deepEqual(accountOf(job(1, "rolled_back", 1), job(2, "committed", 1)), [0, 0, 1]);
  assert.deepEqual(accountOf(job(1, "committed", 1), job(2, "rolled_back", 1)), [0, 0, 1]);
});
