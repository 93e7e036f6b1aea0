"""The list of cases: a case is a function of a client and the world, and belongs to a feature (a column of the page)."""
CASES = []


def feature(name):
    def listed(function):
        CASES.append((name, function.__name__, function))
        return function
    return listed
