    running_sum total = {0.0f, 0.0f};
    for (int i = 0; i < FRAME_SIZE; i++) {
        add(&total, @VALUE@);
    }
    const float mean = total.sum / (float)FRAME_SIZE;
