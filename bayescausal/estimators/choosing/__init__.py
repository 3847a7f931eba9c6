"""What is chosen before estimators are asked: covariates, models on the way, an outcome."""
