"""A class: release, collect, judge safely, feedback, export. Thin over nbgrader where that is good."""
