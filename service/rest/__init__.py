"""Whole images, strokes and pages by HTTP: routes, bodies, answers, their description."""
