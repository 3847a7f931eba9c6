"""A target trial emulated from a table of events.

==================  =============================================================
``target_trial``    the design: its protocol, what identifies it, how it fails
``protocol``        the protocol as a record, checked
``events``          the table of events, and what is known of a unit at a time
``cohort``          who is eligible when, and who was excluded why
``follow_up``       arms, clones, the end of follow-up and its reason
``emulation``       flow, ends of follow-up, immortal time, copies
``flow_picture``    the flow as boxes
==================  =============================================================
"""
