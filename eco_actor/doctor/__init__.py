"""What works here, and what to do about what does not. Nothing is changed, no server disturbed.

finding      one thing that was looked at, and the report of all
examination  everything that a server of some settings needs, in order
disk         the data directory: its file system, its room, how fast it is, and who may
data         the database, the clock, the operator's token
machine      running server, port, open files, the way of streams
site         the file about the kiosk
model        what pictures are looked at with
"""

from eco_actor.doctor.examination import examine
from eco_actor.doctor.finding import Finding, report

__all__ = ("Finding", "examine", "report")
