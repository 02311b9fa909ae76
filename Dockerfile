# nas_lightning on a CPU; without arguments it runs the demo.
#
#   docker build -t nas-lightning .
#   docker run --name demo nas-lightning
#   docker cp demo:/home/nas/outputs .      # the files of the run
FROM python:3.11-slim

# g++ compiles the kernels at their first use; gcc, which comes with it, and make build the firmware for its proof.
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends g++ make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/nas_lightning
COPY constraints.txt ./
RUN pip install --quiet --no-cache-dir -c constraints.txt --index-url https://download.pytorch.org/whl/cpu torch
COPY pyproject.toml README.md LICENSE ./
COPY conf conf
COPY hydra_plugins hydra_plugins
COPY nas_lightning nas_lightning
RUN pip install --quiet --no-cache-dir -c constraints.txt .

RUN useradd --create-home nas
USER nas
WORKDIR /home/nas
CMD ["nas-lightning", "nas_model_size=s"]
