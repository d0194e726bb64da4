"""`check`: estimated hands against a hand that lies on a board whose place is known. No Qt."""
