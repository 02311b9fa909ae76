"""What is done with a trained network: predict, evaluate, and a classifier as scikit-learn knows it."""
