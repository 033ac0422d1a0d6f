"""The check engine: exercises, questions, cards, and the learner's record."""
