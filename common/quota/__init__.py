"""The quota of a vendor account: streams of speech that are open at once, over all workers, as leases in Redis."""

from saystream.common.quota.quota import Lease, Quota, QuotaClosed

__all__ = ["Lease", "Quota", "QuotaClosed"]
