        for (int window = 0; window < WINDOWS; window++) {
            load(rows, window, @SCRATCH@);
            @FEATURES@(@SCRATCH@, features + window);
        }
        features += WINDOWS * WINDOW_FEATURES;
