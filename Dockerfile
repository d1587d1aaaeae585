FROM python:3.11-slim

# A pip index that holds torch's CPU build, where the usual one would hand out the much larger CUDA build.
ARG TORCH_INDEX=""

WORKDIR /app
COPY . .

# torch comes first and alone, as in the Makefile. The install is editable because models/ is read from beside the code.
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} "$(grep -o 'torch==[0-9.]*' pyproject.toml)" \
    && pip install --no-cache-dir --editable ".[anthropic,postgres]"

RUN useradd --system --create-home understudy && mkdir /data && chown understudy /data
USER understudy
ENV UNDERSTUDY_DATA_DIR=/data

EXPOSE 8377
ENTRYPOINT ["understudy"]
CMD ["serve"]
