"""The front desk: may this account use this feature for this pupil, now or at another instant?

`decision` is a pure function of facts and an instant; `service` lets the other rooms write the facts; `reader` loads
them in one query; `routes` answer. It knows nothing of money: a trial, a parent, a school and a sponsor all look like
grants.
"""
