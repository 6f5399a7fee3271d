"""From a picture to "which bin, and how": the scan's actor, the stages and what they know.

categories   the ids
options      what a client says besides the picture      task_id   unguessable, in time order
picture      a picture on its way; why one is refused        decode    bytes to pixels
vision       Classifier, Verdict                             lite0     the classifier on the device
  material_head, imagenet (what it has learnt) · head_training (how)
  model_cache, lite0_graph, torchfile (its weights)
rules        which bin and how, from rules.json              rule (what they say)
  rules_file, data_reader (reading it)
site         one kiosk, from its operator's file             presence (which bins are there)
  yaml_file, site_file, site_reader (reading it) · wording (steps name bins as they are called)
answer       the rule as a sentence                          reward    points and a character
stages       the four steps as a table                       workers   the actors that run them
state        what is known of a scan: the fold of its events
events       what a scan says in the log                     tries     a process died in a step
scan         the actor that takes one scan through the steps
admission    accepted whole or not at all                    recovery  unfinished scans go on
views        reading scans from the log                      tables    what is kept beside it
counts       how many there were for each bin
volume       how much is kept of scans                       retention the actor that removes them
"""
