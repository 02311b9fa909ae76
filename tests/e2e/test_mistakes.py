"""Every mistake ends with one sentence and exit status 2, and leaves nothing behind."""

import numpy as np
import pytest
import torch
from recording_files import csv_folder, make_recordings
from torch.utils.data import DataLoader, TensorDataset

from nas_lightning import InputError, search_and_get_model

ARGUMENTS = [
    (["nas_model_size=tiny"], r"Could not find 'nas_model_size/tiny' Available options in 'nas_model_size': auto auto_cells l m s xl xxl"),
    (["training.nas_layers=2"], "training.nas_layers: found 2; allowed: 3 to 200"),
    (["training.nas_nodes_per_layer=0"], "training.nas_nodes_per_layer: found 0; allowed: 1 to 16"),
    (["training.nas_init_channels=0"], "training.nas_init_channels: found 0; allowed: 1 to 1024"),
    (["training.nas_init_channel_multiplier=0"], "training.nas_init_channel_multiplier: found 0; allowed: 1 to 1024"),
    (["training.nas_fanout_concat=5"], "training.nas_fanout_concat: found 5; allowed: 1 to training.nas_nodes_per_layer, which is 4"),
    (["training.nas_fanout_concat=0"], "training.nas_fanout_concat: found 0; allowed: 1 to 16"),
    (["training.nas_epochs=-1"], "training.nas_epochs: found -1; allowed: 1 to 1000000"),
    (["training.training_epochs=0"], "training.training_epochs: found 0; allowed: 1 to 1000000"),
    (["training.batch_size=0"], "training.batch_size: found 0; allowed: 1 or more"),
    (["training.batch_size=31"], "training.batch_size: 31 is larger than the train split of BasicMotions; allowed: 1 to 30"),
    (["training.norm_bias=nan"], "training.norm_bias: found nan; allowed: -100 to 100"),
    (["training.label_smoothing=1"], "training.label_smoothing: found 1.0; allowed: 0 to less than 1"),
    (["training.clip_norm=0"], "training.clip_norm: found 0.0; allowed: more than 0, or null"),
    (["training.average_decay=1"], "training.average_decay: found 1.0; allowed: 0 to less than 1"),
    (["training.learning_rate=inf"], "training.learning_rate: found inf; allowed: more than 0, or null"),
    (["nas_model_size=3"], "nas_model_size: found 3; allowed: the name of an option, see nas-lightning --help"),
    (["data_processing_feature_extraction.variables=abc"], "data_processing_feature_extraction.variables: found abc; allowed: the number of channels, 1 or more, a list of numbers from 0, a list of names"),
    (["data_processing_feature_extraction.variables=true"], "data_processing_feature_extraction.variables: found true; allowed: the number of channels, 1 or more, a list of numbers from 0, a list of names"),
    (["control.keep_better=true", "control.num_random=0"], "control.keep_better: needs control.num_random of 1 or more"),
    (["training.learning_rate=0"], "training.learning_rate: found 0.0; allowed: more than 0, or null"),
    (["training.nas_optimization_mode=speed"], "training.nas_optimization_mode: found 'speed'; allowed: memory, compute"),
    (["training.nas_kernels=fast"], "training.nas_kernels: found 'fast'; allowed: auto, native, torch"),
    (["training.nas_epochs=many"], "training.nas_epochs: found many; allowed: a whole number, 1 to 1000000"),
    (["training.nas_epoch=3"], "command line: unknown key 'training.nas_epoch'; the nearest known key is 'training.nas_epochs'"),
    (["traning.nas_epochs=3"], "command line: unknown key 'traning.nas_epochs'; the nearest known key is 'training.nas_epochs'"),
    (["training.enable=false", "training.nas_enabled=false"], "training.enable and training.nas_enabled are both false"),
    (["training.nas_enabled=false", "model.kernel_size=4"], "model.kernel_size: found 4; allowed: an odd number of 1 or more"),
    (["seed=-1"], "seed: found -1; allowed: 0 to 4294967295"),
    (["seed=1.5"], "seed: found 1.5; allowed: a whole number, 0 to 4294967295"),
    (["common.task_type=regression"], "Could not find 'task_type/regression' Available options in 'task_type': arc_fault blower_imbalance ecg_classification"),
    (["target_device=F28"], "Could not find 'target_device/F28' Available options in 'target_device': AM13E2"),
    (["budget.params=0"], "budget.params: found 0; allowed: 1 or more, or null"),
    (["budget.ram_bytes=-5"], "budget.ram_bytes: found -5; allowed: 1 or more, or null"),
    (["budget.fraction=0"], "budget.fraction: found 0.0; allowed: more than 0, up to 1"),
    (["frame_size=256"], "unknown key 'frame_size'; the nearest known key is 'data_processing_feature_extraction.frame_size'"),
    (["frame_sise=256"], "unknown key 'frame_sise'; the nearest known key is 'data_processing_feature_extraction.frame_size'"),
    (["target_devise=F28P55"], "unknown key 'target_devise'; the nearest known key is 'target_device'"),
    (["common.run_nam=x"], "unknown key 'common.run_nam'; the nearest known key is 'common.run_name'"),
    (["budget.flash=1"], "command line: unknown key 'budget.flash'; the nearest known key is 'budget.flash_bytes'"),
    (["device.name='a\nb'"], "device.name: found 'a\\nb'; allowed: signs that can be printed, in one line"),
    (["common.config_dirs=[conf]"], "common.config_dirs: is what --config-dir gives; allowed: no other value"),
    (["--config-dir", ""], "--config-dir: found nothing; give the path of a folder"),
    (["devices", "--config-dir="], "--config-dir: found nothing; give the path of a folder"),
    (["devices", "output=yaml"], "output: found yaml; allowed: text, json"),
    (["card"], "card: takes the folder of one run, and out= and license= alone; found []"),
    (["card", "run", "license=My Own"], "license: found My Own; allowed: an identifier of Hugging Face's hub, such as apache-2.0, mit, other or unknown"),
    (["card", "run"], "card: run holds no run that ended; give the folder of one"),
    (["reject.false_accept=1", "dataset.unknown=a"], "reject.false_accept: found 1.0; allowed: 0 to less than 1, or null"),
    (["reject.false_accept=0.01"], "reject.false_accept: needs dataset.unknown, the label of what is not to be accepted"),
    (["reject.coverage=0"], "reject.coverage: found 0.0; allowed: more than 0, up to 1, or null"),
    (["reject.coverage=0.9", "reject.false_accept=0.1", "dataset.unknown=a"], "reject: false_accept and coverage are both set; allowed: one of them"),
    (["reject.coverage=0.9", "training.enable=false"], "reject.coverage: needs training.enable=true"),
    (["dataset.unknown=Sitting"], "dataset.unknown: found 'Sitting', which no recording of BasicMotions is labelled with; allowed: one of"),
    (["postprocess.method=vote"], "postprocess.method: found 'vote'; allowed: none, majority, mean, hysteresis, auto"),
    (["postprocess.windows=1"], "postprocess.windows: found 1; allowed: 2 to 1024"),
    (["postprocess.method=majority", "postprocess.windows=2"], "postprocess.windows: found 2; allowed: 3 or more with majority"),
    (["postprocess.auto_windows=[3,1]"], "postprocess.auto_windows: found 1; allowed: 2 to 1024"),
    (["postprocess.method=auto", "postprocess.auto_windows=[]"], "postprocess.auto_windows: found []; allowed: a list of numbers"),
    (["postprocess.method=mean", "dataset.split_type=amongst_windows"], "postprocess.method: found mean; allowed: none, because dataset.split_type=amongst_windows"),
    (["device.flash_bytes=0"], "device.flash_bytes: found 0; allowed: 1 or more, or null"),
    (["device.npu_profile=loose"], "device.npu_profile: found 'loose'; allowed: strict, relaxed, null"),
    (["target_device=F28P55", "space.ops=[none,dil_conv_3x1]"], "space.ops: the NPU of F28P55 accelerates none of none, dil_conv_3x1"),
    (["cost.weight_bits=7"], "cost.weight_bits: found 7; allowed: 8, 16, 32"),
    (["cost.activation_bits=4"], "cost.activation_bits: found 4; allowed: 8, 16, 32"),
    (["cost.code_bytes_per_layer=-1"], "cost.code_bytes_per_layer: found -1; allowed: 0 or more"),
    (["budget.latency_ms=1"], "budget.latency_ms: needs a clock; choose a target_device, or set device.clock_mhz"),
    (["budget.latency_ms=1", "target_device=F28P65"], "budget.latency_ms: nothing is known of the instructions of a C28x; allowed: a device with a Cortex-M core"),
    (["training.nas_optimization_mode=Latency", "target_device=F28P65"], "training.nas_optimization_mode=Latency: nothing is known of the instructions of a C28x"),
    (["nas_model_size=auto"], "nas_model_size=auto: there is no limit to use; set one of budget.params, budget.macs"),
    (["nas_model_size=auto", "budget.params=400", "training.nas_layers=5"], "training.nas_layers: found 5; allowed: 0 with nas_model_size=auto, because outlines have no cells"),
    (["nas_model_size=auto_cells", "budget.params=400", "training.nas_layers=5"], "training.nas_layers: found 5; allowed: 0 with nas_model_size=auto_cells, because it is chosen from space.auto_layers"),
    (["nas_model_size=auto", "budget.params=400", "search=gdas"], "search: found gdas; allowed: outlines, random with nas_model_size=auto, because outlines have no supernet; nas_model_size=auto_cells searches cells by it"),
    (["search=outlines"], "search.prior: found true; allowed: false, because nas_model_size=auto alone has outlines"),
    (["nas_model_size=auto", "budget.params=400", "space.readout=means_4"], "space.readout: found means_4; allowed: mean with nas_model_size=auto, which chooses from space.outline.readout"),
    (["nas_model_size=auto", "budget.params=400", "space.outline.taps=[4]"], "space.outline.taps: found 4; allowed: odd numbers from 1 to 1023"),
    (["nas_model_size=auto", "budget.params=400", "space.outline.depth=[]"], "space.outline.depth: found []; allowed: a list of one value or more"),
    (["nas_model_size=auto", "budget.params=400", "space.outline.kind=[fast]"], "space.outline.kind: found 'fast'; allowed: full, separable"),
    (["nas_model_size=auto", "budget.params=400", "space.outline.readout=[median]"], "space.outline.readout: found 'median'; allowed: mean, means_2, means_4, means_8, maximum"),
    (["nas_model_size=auto", "budget.params=400", "space.outline.readout=[means_4]", "dataset.aligned=false"], "space.outline.readout: found means_4; allowed: mean, maximum, because windows begin anywhere (dataset.aligned=false)"),
    (["target_device=F28P55", "space.outline.first=[15]"], "space.outline.first: found 15; allowed: 7, because of the NPU of F28P55"),
    (["nas_model_size=auto", "budget.params=400", "space.outline.taps=[3,3]"], "space.outline.taps: a value stands twice in [3, 3]; allowed: each once"),
    (["nas_model_size=auto", "budget.params=400", "space.outline.depth=[40]"], "space.outline.depth: found 40; allowed: 1 to 16"),
    (["selection.score=accuracy"], "selection.score: found 'accuracy'; allowed: metric, loss"),
    (["space.auto_layers=[2]"], "space.auto_layers: found 2; allowed: 3 to 200"),
    (["space.auto_init_channels=[]"], "space.auto_init_channels: found []; allowed: a list of numbers, each 1 to 1024"),
    (["target_accuracy=93"], "target_accuracy: found 93.0; allowed: more than 0, up to 1"),
    (["target_accuracy=0.9", "training.enable=false"], "target_accuracy: needs training.enable and training.nas_enabled"),
    (["target_accuracy=0.9", "nas_model_size=auto_cells", "budget.params=400"], "target_accuracy: finds the limit itself; allowed: any nas_model_size but auto_cells"),
    (["target_rounds=0"], "target_rounds: found 0; allowed: 1 to 100"),
    (["search.penalties.budget.weight=-1"], "search.penalties.budget.weight: found -1; allowed: 0 or more"),
    (["search.penalties.ram.weight=-1"], "search.penalties.ram.weight: found -1; allowed: 0 or more"),
    (["data_processing_feature_extraction.feature_extraction_name=FFT"], "Could not find 'features/FFT' Available options in 'features': ArcFault_1024Input_256Feature_1Frame_Full_Bandwidth"),
    (["data_processing_feature_extraction.variables=7"], "data_processing_feature_extraction.variables: found 7; BasicMotions: train/0 has 6 channels"),
    (["data_processing_feature_extraction.variables=[0,6]"], "variables: found [0, 6]; BasicMotions: train/0 has 6 channels: allowed are 1 to 6, a list of numbers from 0 to 5, or a list of names"),
    (["dataset.split_factor=1"], "dataset.split_factor: found 1; allowed: shares of train, val and test above 0 that sum to 1, or the first"),
    (["dataset.split_factor=[0.5,0.2,0.1]"], "dataset.split_factor: found [0.5, 0.2, 0.1]; allowed: shares of train, val and test"),
    (["dataset.split_type=random"], "dataset.split_type: found 'random'; allowed: auto, amongst_files, by_group, within_files, amongst_windows"),
    (["dataset.split_type=by_group"], "dataset.split_type: by_group needs groups, which BasicMotions does not have"),
    (["dataset.missing=fill"], "dataset.missing: found 'fill'; allowed: error, interpolate, drop"),
    (["dataset.columns.label=null"], "dataset.columns.label: found null; allowed: a name, because labels are needed here; null says to predict that there are none"),
    (["dataset.group_pattern='('"], "dataset.group_pattern: '(' is no regular expression"),
    (["dataset.annotations=nowhere"], "nowhere has no lists of train, val, test"),
    (["testing.metric=f1"], "testing.metric: found 'f1'; allowed: accuracy, balanced_accuracy, macro_f1"),
    (["data_processing_feature_extraction.feat_ext_transform=[FFT]"], "feat_ext_transform: found ['FFT']; allowed: WINDOWING, RAW_FE"),
    (["data_processing_feature_extraction.feat_ext_transform=[RAW_FE]"], "frame_size: is null; RAW_FE needs frames"),
    (["data_processing_feature_extraction.frame_size=200"], "no recording of ['badminton', 'running', 'standing', 'walking'] in train has the 200 rows of a sample"),
    (["data_processing_feature_extraction.new_sr=10"], "data_processing_feature_extraction.sampling_rate: is null, and the recordings do not say it"),
    (["data_processing_feature_extraction.new_sr=20", "data_processing_feature_extraction.sampling_rate=10"], "new_sr: found 20; allowed: more than 0, up to the rate of the recordings, 10"),
    (["data_processing_feature_extraction.scale=0"], "data_processing_feature_extraction.scale: found 0.0; allowed: a number other than 0, or null"),
    (["features=Generic_32Input_FFTBIN_4Feature_8Frame", "data_processing_feature_extraction.feature_size_per_frame=17"], "feature_size_per_frame: found 17 with analysis_bandwidth 1; a frame of 32 has 16 bins"),
    (["features=Custom_ArcFault"], "frame_size: is null; WINDOWING, FFT_FE, NORMALIZE"),
    (["features=FFT256Input_FE_RFFT_16Feature_8Frame_removeDC_Full_Bandwidth", "export.include_features=true"], "export.include_features: ONNX cannot express FFT_Q15"),
    (["data_processing_feature_extraction.stacking=1D", "data_processing_feature_extraction.stride_size=0.5"], "frame_size: is null; stride_size and frame_skip need frames"),
    (["dataset.split_type=amongst_windows"], "dataset.split_type: amongst_windows needs frame_size, and neighbouring windows side by side"),
    (["data_processing_feature_extraction.log_base=1"], "log_base: found 1; allowed: e, or a number above 0 other than 1"),
    (["data_processing_feature_extraction.fft_size=0"], "fft_size: found 0; allowed: 2 to 65536"),
    (["data_processing_feature_extraction.frame_size=10000000"], "frame_size: found 10000000; allowed: 1 to 1048576, or null"),
    (["data_processing_feature_extraction.feat_ext_transform=[RAW_FE,LOG_DB,CONCAT]", "data_processing_feature_extraction.frame_size=100"], "feat_ext_transform: LOG_DB needs ABS, because values below 0 have no logarithm"),
    (["data_processing_feature_extraction.data_proc_transforms=[SimpleWindow]"], "unknown key 'data_processing_feature_extraction.data_proc_transforms'; here, frame_size cuts windows"),
    (["data_processing_feature_extraction.scale=1e-38"], "data_processing_feature_extraction.feat_ext_transform: scale give values of the train split that are NaN or infinite"),
    (["dataset.split_factor=half"], "dataset.split_factor: found half; allowed: a number or a list of: a number"),
    (["inspect", "hydra.run.dir=/dev/null/x"], "hydra.run.dir: /dev/null/x cannot be made"),
    (["+augmentation.Shake={}"], "augmentation.Shake: is unknown; allowed: AddNoise, Drift"),
    (["+augmentation.Resize.size=50"], "augmentation: makes 50 rows of a sample of 100; allowed: the same number"),
    (["search_features=true", "target_accuracy=0.5"], "search_features: needs training.enable, and no target_accuracy"),
    (["features_candidates=[FFT]"], "features_candidates: found 'FFT'; allowed: ArcFault_1024Input_256Feature"),
    (["features_candidates=[]", "search_features=true"], "features_candidates: is empty; search_features needs at least one"),
    (["inspect", "dataset.input_data_path=nowhere"], "there is no "),
    (["inspect", "dataset.input=nowhere"], "unknown key 'dataset.input'; the nearest known key is 'dataset.input_data_path'"),
    (["dataset.dataset_name=null"], "dataset: neither dataset_name nor input_data_path is set"),
    (["dataset.input_data_path=missing.npz"], "missing.npz; allowed: a folder with classes/CLASS/*.csv"),
    (["space.ops=[none]"], "space.ops: found ['none']; at least one operation besides 'none' is needed"),
    (["space.ops=[conv_9]"], "space.ops: found 'conv_9'; allowed: none, avg_pool_3x1"),
    (["space.ops=[skip_connect,skip_connect]"], "space.ops: an operation stands twice"),
    (["space.post_reduction_stride=3"], "space.post_reduction_stride: found 3; allowed: 1 or 2"),
    (["space.readout=positive_share"], "space.readout: found 'positive_share'; allowed: mean, means_2, means_4, means_8, maximum"),
    (["space.readout=means_2", "dataset.aligned=false"], "space.readout: found means_2; allowed: mean, maximum, because windows begin anywhere"),
    (["training.nas_enabled=false", "model=cls_4k", "dataset.aligned=false"], "model.readout: found means_4; allowed: mean, maximum"),
    (["space.shape=deep"], "space.shape: found 'deep'; allowed: preset, wide"),
    (["space.shape=wide", "nas_model_size=auto", "budget.params=400"], "space.shape: found wide; allowed: preset, because nas_model_size=auto chooses how wide"),
    (["search.unroled=true"], "Could not override 'search.unroled': Key 'unroled' is not in struct"),
    (["search=dartz"], "Could not find 'search/dartz' Available options in 'search': balanced_one_shot"),
    (["search.clip_norm=0"], "search.clip_norm: found 0; allowed: more than 0"),
    (["search.penalties.cost.weight=-1"], "search.penalties.cost.weight: found -1; allowed: 0 or more"),
    (["search.unrolled=true", "search.weight_optimizer._target_=torch.optim.Adam", "~search.weight_optimizer.momentum"], "search.unrolled: needs search.weight_optimizer to be torch.optim.SGD, found Adam"),
    (["trainer.devices=2"], "trainer.devices: found 2; allowed: 1, because a search runs on one device"),
    (["+trainer.gradient_clip_val=1"], "trainer.gradient_clip_val: cannot be given; set training.clip_norm and search.clip_norm instead"),
    (["+trainer.accumulate_grad_batches=2"], "trainer.accumulate_grad_batches: cannot be given; set training.batch_size instead"),
    (["+trainer.max_time=00:00:00:01"], "trainer.max_time: cannot be given; set training.nas_epochs and training.training_epochs instead"),
    (["+trainer.fast_dev_run=true"], "trainer.fast_dev_run: cannot be given; experiment=quick is a look at the whole road"),
    (["+trainer.limit_val_batches=0"], "trainer.limit_val_batches: cannot be given; all of val is needed"),
    (["scheduler._target_=torch.optim.lr_scheduler.ReduceLROnPlateau", "~scheduler.T_max"], "scheduler: found ReduceLROnPlateau; allowed: schedules that follow the epoch alone"),
    (["search.weight_scheduler._target_=torch.optim.lr_scheduler.ReduceLROnPlateau", "~search.weight_scheduler.T_max", "~search.weight_scheduler.eta_min"], "search.weight_scheduler: found ReduceLROnPlateau; allowed: schedules that follow the epoch alone"),
    (["search.unrolled=true", "+search.weight_optimizer.nesterov=true"], "search.weight_optimizer.nesterov: found True; search.unrolled knows no such step"),
    (["callbacks.alpha_pictures.every_n_epochs=0"], "callbacks.alpha_pictures.every_n_epochs: found 0; allowed: 1 or more"),
    (["seed=4294967296"], "seed: found 4294967296; allowed: 0 to 4294967295"),
    (["seed=4294967295", "selection.candidates=2"], "seed: found 4294967295; allowed: 0 to 4294967294, because 2 searches or trainings"),
    (["seed=4294967293"], "seed: found 4294967293; allowed: 0 to 4294967292, because 4 searches or trainings have seeds from there on"),
    (["seed=4294967294", "search.num_seeds=3", "selection.candidates=1"], "seed: found 4294967294; allowed: 0 to 4294967293, because 3 searches"),
    (["seed=null"], "seed: found null; allowed: a whole number, 0 to 4294967295"),
    (["seed=true"], "seed: found true; allowed: a whole number, 0 to 4294967295"),
    (["training.learning_rate=fast"], "training.learning_rate: found fast; allowed: a number, more than 0, or null"),
    (["training.enable=5"], "training.enable: found 5; allowed: true or false"),
    (["training=null"], "command line: unknown key 'training'; the nearest known key is 'training.enable'"),
    (["space.ops=0"], "space.ops: found 0; allowed: a list of: text"),
    (["common.task_type=null"], "task_type: found null; allowed: the name of an option"),
    (["search=null"], "search: found null; allowed: the name of an option"),
    (["optimizer=[adamw,sgd]"], "optimizer: found [adamw,sgd]; allowed: the name of an option"),
    (["+optimizer.note=r[/bold]"], "optimizer.note: found r[/bold], which has a sign with a meaning for Hydra; allowed: text in quotes, as in 'optimizer.note=\"r[/bold]\"'"),
    (["seed=(1"], "seed: found (1; allowed: a whole number, 0 to 4294967295"),
    (["seed=1,2"], "seed: found 1,2, which is several values; -m before them makes a run of each"),
    (["inspect", "seed=1,2"], "seed: found 1,2, which is several values"),
    (["inspect", "-m", "seed=1"], "inspect: takes key=value and --config-dir alone, found ['-m']"),
    (["seed=1", "dir"], "'dir': is neither an option nor key=value; a value with a space is given in quotes: 'seed=1 dir'"),
    (["model.kernel_size=null"], "model.kernel_size: found null; allowed: a whole number, 1 to 1023"),
    (["model.widths=[4096,4096]", "model.kernel_size=1023"], "model.widths [4096, 4096] and model.kernel_size 1023 make a network of"),
    (["search.regularisers=null"], "search.regularisers: found null; allowed: names with their values"),
    (["search.penalties.cost=5"], "search.penalties.cost: found 5; allowed: what a _target_ makes"),
    (["scheduler.T_max=null"], "scheduler.T_max: found null; allowed: a whole number, 1 to 1000000"),
    (["scheduler.T_max=1.5"], "scheduler.T_max: found 1.5; allowed: a whole number, 1 to 1000000"),
    (["scheduler._target_=torch.optim.lr_scheduler.StepLR", "~scheduler.T_max", "+scheduler.step_size=0"], "scheduler: "),
    (["search.weight_scheduler.eta_min=null"], "search.weight_scheduler.eta_min: found null; allowed: a number, 0 or more"),
    (["search.clip_norm=-1"], "search.clip_norm: found -1; allowed: more than 0"),
    (["+optimizer.speed=1"], "optimizer.speed: is unknown; allowed: params, lr, betas"),
    (["+optimizer.eps=fast"], "optimizer.eps: found fast; allowed: a number"),
    (["optimizer.fused=1"], "optimizer.fused: found 1; allowed: true or false, or null"),
    (["optimizer._target_=torch.optim.NoSuch"], "optimizer._target_: found torch.optim.NoSuch; allowed: parts of nas_lightning, torch.optim, its lr_scheduler"),
    (["data.batch_size=8"], "data.batch_size: found 8; it follows training.batch_size; set that instead"),
    (["dataset.input_data_path=there.npz", "data.path=other.npz"], "data.path: found other.npz; it follows dataset.input_data_path; set that instead"),
    (["training.nas_layers=1000000000"], "training.nas_layers: found 1000000000; allowed: 3 to 200"),
    (["training.nas_layers=200", "training.nas_init_channels=64"], "training: nas_layers 200, nas_nodes_per_layer 4, nas_init_channels 64"),
    (["target_device=MSPM0G3507", "device.clock_mhz=0"], "device.clock_mhz: found 0.0; allowed: more than 0, or null"),
    (["device.core=Cortex-M99"], "device.core: found 'Cortex-M99'; allowed: C28x"),
    (["device.npu=fast"], "device.npu: found 'fast'; allowed: cde, hard, null"),
    (["data_processing_feature_extraction.sampling_rate=0"], "sampling_rate: found 0.0; allowed: more than 0, or null"),
    (["data_processing_feature_extraction.log_mul=0"], "log_mul: found 0.0; allowed: a number other than 0"),
    (["data_processing_feature_extraction.variables=1000000000"], "variables: found 1000000000; BasicMotions: train/0 has 6 channels"),
    (["+augmentation.Drift.n_drift_points=1000000000"], "augmentation.Drift.n_drift_points: found 1000000000; allowed: a whole number from 1 to 1000"),
    (["+trainer.strategy=ddp"], "trainer.strategy: cannot be given; a run is one process on one device; parallel work is a sweep"),
    (["+trainer.num_nodes=2"], "trainer.num_nodes: cannot be given; a run is one process on one device"),
    (["trainer.accelerator=quantum"], "trainer.accelerator: found 'quantum'; allowed: auto, cpu, cuda, gpu, mps"),
    (["trainer.precision=8"], "trainer.precision: found 8; allowed: 64, 32, 16"),
    (["hydra.run.dir=/dev/null/out"], "/dev/null/out: cannot be written into (Not a directory)"),
    (["resume=nowhere"], "resume: nowhere is not a run folder; it has no config.yaml"),
    (["resume=nowhere", "seed=1"], "resume: takes dataset.input_data_path and dataset.annotations alone, for data that were moved, found ['seed=1']"),
    (["devices", "F28P55"], "devices: takes --config-dir alone, found ['F28P55']"),
    (["serach"], "'serach': is neither a .yaml file nor key=value; see nas-lightning --help"),
    (["missing.yaml"], "missing.yaml: cannot be read (No such file or directory)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "text"), ARGUMENTS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_wrong_arguments(cli, tmp_path, arguments, text):
    status, out, err = cli(*arguments)
    assert status == 2
    assert text in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not out
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def spoil(x, value):
    x = x.copy()
    x[3, 0, 5] = value
    return x


DATA = [
    (lambda a: {"X_test": None}, "data.npz: lacks X_test; found ['X_train', 'y_test', 'y_train'], needed"),
    (lambda a: {"X_train": spoil(a["X_train"], np.nan)}, "data.npz: train/3: row 5 of channel 0 is missing, the first of 1 values that are; dataset.missing=interpolate fills"),
    (lambda a: {"X_test": spoil(a["X_test"], np.inf)}, "data.npz: test/3: row 5 of channel 0 is infinite or too large; allowed: what float32 holds"),
    (lambda a: {"y_train": np.zeros(40, int), "y_test": np.zeros(40, int)}, "data.npz: has the one class ['0'] to train on; at least 2 are needed"),
    (lambda a: {"y_test": a["y_test"] + 1}, "y_test has labels that y_train lacks: [4]; allowed: [0, 1, 2, 3]"),
    (lambda a: {"y_train": a["y_train"] + 0.5}, "y_train has type float64 and other values than allowed: whole numbers or strings"),
    (lambda a: {"X_train": a["X_train"].astype(float) * 1e300}, "data.npz: train/0: row 0 of channel 0 is infinite or too large; allowed: what float32 holds"),
    (lambda a: {"y_train": a["y_train"][:-1]}, "y_train has shape [39]; X_train asks for [40]"),
    (lambda a: {"X_train": a["X_train"][:, :5]}, "X_train has [channels, length] [5, 100] and X_test [6, 100]; they must agree"),
    (lambda a: {"X_train": a["X_train"][:, 0]}, "X_train has shape [40, 100]; allowed: [samples, channels, length]"),
    (lambda a: {"X_test": a["X_test"][:0]}, "X_test has shape [0, 6, 100]; allowed: [samples, channels, length], none of them 0"),
    (lambda a: {"X_train": a["X_train"].astype(str)}, "X_train has type <U32; allowed: numbers"),
    (lambda a: {"X_train": np.array([None, 1], dtype=object)}, "cannot be read as .npz without pickled objects"),
    (lambda a: {"groups_train": np.arange(39)}, "groups_train has shape [39] and type int64; allowed: [40] whole numbers"),
    (lambda a: {"groups_train": np.zeros(40, int)}, "data.npz: 1 group cannot be divided; at least 2 are needed"),
    (lambda a: {"class_names": np.array(["a", "b"])}, "class_names has 2 names for 4 labels in y_train"),
    (lambda a: {"X_train": a["X_train"][:, :3, :4], "X_test": a["X_test"][:, :3, :4]}, "data: the samples have 4 time steps; the reductions of this network need at least 5"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "text"), DATA, ids=[text[:40] for _, text in DATA])
def test_wrong_data(cli, arrays, write_npz, change, text):
    status, _, err = cli(f"dataset.input_data_path={write_npz(**change(arrays))}", "hydra.run.dir=run")
    assert (status, err.count("\n")) == (2, 1)
    assert text in err


def test_series_too_short_for_a_hand_made_network(cli, arrays, write_npz):
    path = write_npz(X_train=arrays["X_train"][:, :1, :2], X_test=arrays["X_test"][:, :1, :2])
    status, out, err = cli(f"dataset.input_data_path={path}", "training.nas_enabled=false", "hydra.run.dir=run")
    assert (status, out) == (2, "")
    assert err == "error: data: the samples have 2 time steps; the reductions of this network need at least 3\n"


def test_a_broken_file_in_a_folder(cli, tmp_path):
    csv_folder(tmp_path / "data", make_recordings((12,) * 6))
    (tmp_path / "data" / "classes" / "calm" / "x.csv").write_text("a,b\n1,2\n3,x\n")
    status, out, err = cli("dataset.input_data_path=data", "hydra.run.dir=run")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "data: calm/x.csv: line 3, column 2 is 'x'; allowed: numbers" in err
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_no_npz(cli, tmp_path):
    (tmp_path / "data.npz").write_text("time,value\n")
    status, _, err = cli("dataset.input_data_path=data.npz")
    assert status == 2
    assert "data.npz cannot be read as .npz without pickled objects" in err


def test_an_unknown_data_set(cli, monkeypatch):
    """aeon looks for it in its archive; here nothing can be reached."""
    import socket

    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    status, _, err = cli("dataset.dataset_name=NoSuchSet")
    assert status == 2
    assert "dataset.dataset_name: cannot load 'NoSuchSet' from the UCR/UEA archive" in err


GUIDE = [
    ("training:\n  nas_epoch: 3\n", "unknown key 'training.nas_epoch'; the nearest known key is 'training.nas_epochs'"),
    ("training:\n  nas_model_size: tiny\n", "Could not find 'nas_model_size/tiny'"),
    ("training:\n  nas_model_size: 3\n", "nas_model_size: found 3; allowed: the name of an option"),
    ("- a\n", "has no sections; allowed: the layout of the user guide"),
    ("a: [\n", "is not YAML"),
]


@pytest.mark.parametrize(("content", "text"), GUIDE)
def test_a_wrong_file_in_the_layout_of_the_guide(cli, tmp_path, content, text):
    (tmp_path / "config.yaml").write_text(content)
    status, _, err = cli("config.yaml")
    assert (status, err.count("\n")) == (2, 1)
    assert text in err


def test_the_traceback_is_shown_on_request(cli, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(InputError, match="batch_size"):
        cli("training.batch_size=31")


def two_class_loader(labels):
    return DataLoader(TensorDataset(torch.randn(8, 1, 16), torch.tensor(labels)), 4)


GOOD = two_class_loader([0, 1] * 4)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "search_and_get_model: train_loader is missing; give a DataLoader"),
        ({"nas_epoch": 3}, "unknown setting 'nas_epoch'; allowed: train_loader, valid_loader, training_epochs"),
        ({"batch_size": 3}, "unknown setting 'batch_size'"),
        (
            {"train_loader": two_class_loader([0] * 8), "valid_loader": two_class_loader([0] * 8)},
            "has the one class",
        ),
        (
            {"train_loader": two_class_loader([0, 2] * 4), "valid_loader": two_class_loader([0, 2] * 4)},
            r"labels \[0, 2\]; allowed: 0 to K - 1",
        ),
        ({"train_loader": GOOD, "valid_loader": None}, "valid_loader is missing; give a DataLoader"),
        ({"train_loader": GOOD, "valid_loader": []}, "valid_loader: gives no batch; allowed: one or more"),
        (
            {"train_loader": [{"x": torch.randn(4, 1, 16)}], "valid_loader": GOOD},
            "train_loader: a batch holds dict; allowed: tuples that end with two tensors, x and y",
        ),
        (
            {"train_loader": [(np.zeros((4, 1, 16)), np.zeros(4))], "valid_loader": GOOD},
            "train_loader: a batch holds ndarray, ndarray; allowed: tuples",
        ),
        (
            {"train_loader": [(torch.randn(1, 16), torch.tensor(0))], "valid_loader": GOOD},
            r"train_loader: a batch has x \[1, 16\] and y \[\]; allowed: x \[B, C, L\] or \[B, C, L, 1\] and y \[B\]",
        ),
        ({"train_loader": GOOD, "valid_loader": GOOD, "nas_epochs": "x"}, "nas_epochs"),
        *(
            (
                {"train_loader": GOOD, "valid_loader": GOOD, "overrides": [override]},
                f"{key} cannot be set, because the lo",
            )
            for override, key in (
                ("features=Generic_256Input_FFT_128Feature_1Frame", "features"),
                ("+augmentation.Flip={}", "augmentation.Flip"),
                ("training.batch_size=4", "training.batch_size"),
                ("export.include_features=true", "export.include_features"),
            )
        ),
        (
            {"train_loader": GOOD, "valid_loader": GOOD, "overrides": ["training.enable=false"]},
            "training.enable cannot be set, because a trained network is returned",
        ),
    ],
)
def test_wrong_calls_of_the_function(tmp_path, settings, text):
    with pytest.raises(InputError, match=text):
        search_and_get_model(folder=tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()
